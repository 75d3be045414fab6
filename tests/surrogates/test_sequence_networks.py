from __future__ import annotations

import math
from collections import Counter
from typing import Any

import editdistance
import numpy as np
import pytest
import scipy.stats
import torch
from network_cases import NetworkCase, differs, each_level, losses_of
from rouge_score.rouge_scorer import RougeScorer
from torch import Tensor

from autosurrogate import tasks
from autosurrogate.examples import Examples
from autosurrogate.registry.lookup import find
from autosurrogate.surrogates._sequence_margins import relative_to_margins
from autosurrogate.testing.exports import exported
from autosurrogate.testing.losses import Tolerance, finite_gradient

ALL_KINDS = ["tokens", "order", "places", "edits", "repetition", "runs"]
SETTINGS: dict[str, dict[str, Any]] = {
    "match": {"temperatures": [1.0, 0.2], "relative_temperatures": [0.3], "width": 24},
    "align": {"temperatures": [1.0, 0.2], "relative_temperatures": [0.3], "width": 24},
    "general": {
        "kinds": ALL_KINDS,
        "temperatures": [1.0, 0.2],
        "relative_temperatures": [0.3],
    },
    "target_attention": {"width": 8, "n_layers": 2},
}
SHARP = 1e-3
VOCABULARY = 9

each_network = pytest.mark.parametrize("network", SETTINGS)


def examples(
    n: int = 6, n_positions: int = 8, n_tokens: int = 7, vocabulary: int = VOCABULARY, seed: int = 0
) -> tuple[Tensor, Tensor, Tensor]:
    """Logits that lean to the reference, references with padding at the end, and masks of as different lengths."""
    generator = torch.Generator().manual_seed(seed)
    target = torch.randint(0, vocabulary, (n, n_tokens), generator=generator)
    preds = torch.randn(n, n_positions, vocabulary, generator=generator)
    shared = min(n_positions, n_tokens)
    preds[:, :shared].scatter_add_(2, target[:, :shared, None], 2 * torch.rand(n, shared, 1, generator=generator) + 1)
    target[torch.arange(n_tokens) > torch.randint(0, n_tokens, (n, 1), generator=generator)] = -100
    mask = torch.arange(n_positions) <= torch.randint(0, n_positions, (n, 1), generator=generator)
    return preds, target, mask


def same(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-4)


def garbage(*shape: int) -> Tensor:
    return 20 * torch.randn(shape, generator=torch.Generator().manual_seed(99))


SMALLEST = [(1, 1, 1, 2), (1, 1, 6, 2), (1, 6, 1, 3), (3, 2, 9, 2), (3, 9, 2, 4), (1, 4, 4, 2)]


def smallest(level: str) -> list[tuple[Tensor | None, ...]]:
    """With a mask and without one."""
    batches = [examples(*sizes) for sizes in SMALLEST]
    return [(preds, target, m) for preds, target, mask in batches for m in (mask, None)]


CASE = NetworkCase(
    "sequence",
    SETTINGS,
    examples,
    set_size=3,
    tolerance=Tolerance(2e-5, 1e-4),
    order_tolerance=Tolerance(2e-5, 1e-4),
    smallest=smallest,
    one_row=("match", "align"),
    without_names=("target_attention",),
)


def built(network: str, level: str = "sample", **changed: Any) -> Any:
    return CASE.built(network, level, **changed)


test_every_property = CASE.test()


@each_network
@each_level
def test_more_padding_of_the_reference_changes_nothing(network: str, level: str) -> None:
    loss, (preds, target, mask) = built(network, level), examples()
    padded = torch.cat([target, torch.full((6, 5), -100)], 1)
    same(losses_of(loss, preds, padded, mask), losses_of(loss, preds, target, mask))


@each_network
@each_level
def test_padding_of_the_reference_may_stand_anywhere(network: str, level: str) -> None:
    loss, (preds, target, mask) = built(network, level), examples()
    hole = torch.full((6, 2), -100)
    same(
        losses_of(loss, preds, torch.cat([hole, target[:, :3], hole, target[:, 3:]], 1), mask),
        losses_of(loss, preds, target, mask),
    )


@each_network
@each_level
def test_more_masked_positions_change_nothing(network: str, level: str) -> None:
    loss, (preds, target, mask) = built(network, level), examples()
    longer = torch.cat([preds, garbage(6, 4, VOCABULARY)], 1)
    longer_mask = torch.cat([mask, torch.zeros(6, 4, dtype=torch.bool)], 1)
    same(losses_of(loss, longer, target, longer_mask), losses_of(loss, preds, target, mask))
    assert differs(losses_of(loss, longer, target, longer_mask | True), losses_of(loss, preds, target, mask))


@each_network
@each_level
def test_masked_positions_may_stand_anywhere(network: str, level: str) -> None:
    loss, (preds, target, mask) = built(network, level), examples()
    hole, closed = garbage(6, 2, VOCABULARY), torch.zeros(6, 2, dtype=torch.bool)
    longer = torch.cat([hole, preds[:, :2], hole, preds[:, 2:]], 1)
    same(
        losses_of(loss, longer, target, torch.cat([closed, mask[:, :2], closed, mask[:, 2:]], 1)),
        losses_of(loss, preds, target, mask),
    )


@each_network
@each_level
def test_what_masked_positions_hold_does_not_matter(network: str, level: str) -> None:
    loss, (preds, target, mask) = built(network, level), examples()
    changed = torch.where(mask[..., None], preds, garbage(6, 8, VOCABULARY))
    same(losses_of(loss, changed, target, mask), losses_of(loss, preds, target, mask))


@each_network
@each_level
def test_masks_of_numbers_are_masks(network: str, level: str) -> None:
    loss, (preds, target, mask) = built(network, level), examples()
    for dtype in (torch.int64, torch.float32, torch.uint8):
        same(losses_of(loss, preds, target, mask.to(dtype)), losses_of(loss, preds, target, mask))


@each_network
@each_level
@pytest.mark.parametrize("logit", [-1e4, -math.inf])
def test_tokens_that_are_never_predicted_change_nothing(network: str, level: str, logit: float) -> None:
    loss, (preds, target, mask) = built(network, level), examples()
    more = torch.cat([preds, torch.full((6, 8, 11), logit)], 2)
    same(losses_of(loss, more, target, mask), losses_of(loss, preds, target, mask))
    assert differs(losses_of(loss, more.clamp_min(3), target, mask), losses_of(loss, preds, target, mask))


@each_network
@each_level
def test_what_the_tokens_are_called_does_not_matter(network: str, level: str) -> None:
    loss, (preds, target, mask) = built(network, level), examples()
    names = torch.randperm(VOCABULARY, generator=torch.Generator().manual_seed(1))
    renamed = torch.empty_like(preds).index_copy_(2, names, preds)
    renamed_target = torch.where(target == -100, target, names[target.clamp_min(0)])
    same(losses_of(loss, renamed, renamed_target, mask), losses_of(loss, preds, target, mask))
    assert differs(losses_of(loss, renamed, target, mask), losses_of(loss, preds, target, mask))


@each_network
@each_level
@pytest.mark.parametrize("dtype", [torch.int8, torch.int16, torch.int32])
def test_any_signed_target(network: str, level: str, dtype: torch.dtype) -> None:
    loss, (preds, target, mask) = built(network, level), examples()
    loss.eos_id = 4
    torch.testing.assert_close(
        losses_of(loss, preds, target.to(dtype), mask), losses_of(loss, preds, target, mask), atol=0, rtol=0
    )


@each_network
def test_any_unsigned_target(network: str) -> None:
    loss, (preds, _, mask) = built(network), examples(vocabulary=200)
    loss.eos_id = 300  # no byte
    target = torch.tensor([[156, 3, 0, 199]] * 6)
    for dtype in (torch.uint8, torch.uint16):
        torch.testing.assert_close(
            losses_of(loss, preds, target.to(dtype), mask), losses_of(loss, preds, target, mask), atol=0, rtol=0
        )


@each_network
@each_level
def test_empty_hypotheses_and_references_give_finite_losses_and_gradients(network: str, level: str) -> None:
    preds, target, mask = examples()
    target[0], mask[1] = -100, False
    target[2], mask[2] = -100, False
    loss = built(network, level)
    for t, m in ((target, mask), (torch.full_like(target, -100), mask), (target, torch.zeros_like(mask))):
        logits = preds.clone().requires_grad_()
        found = loss(logits, t, m)
        found.backward()
        assert found.isfinite()
        assert logits.grad is not None
        assert logits.grad.isfinite().all()
        assert (logits.grad[2] == 0).all()


@each_network
@each_level
def test_infinite_logits_give_finite_gradients(network: str, level: str) -> None:
    preds, target, mask = examples()
    preds[0, :, 3:] = -math.inf  # reference tokens among them
    preds[1, 0] = -math.inf
    preds[2, 0, 1] = math.inf
    gradient = finite_gradient(built(network, level), preds, target, mask)
    assert gradient[3:].abs().sum() > 0


@each_network
@each_level
def test_without_a_mask_and_with_as_many_positions_those_without_a_target_are_left_out(
    network: str, level: str
) -> None:
    loss, (preds, target, _) = built(network, level), examples(n_positions=7)
    target[0, 0], target[1, 2] = -100, -100  # such as a prompt, or what masked language models are not asked
    same(losses_of(loss, preds, target), losses_of(loss, preds, target, target != -100))
    assert differs(losses_of(loss, preds, target), losses_of(loss, preds, target, torch.ones(6, 7, dtype=torch.bool)))


@each_network
@each_level
def test_without_a_mask_all_positions_count_where_the_numbers_differ(network: str, level: str) -> None:
    loss, (preds, target, _) = built(network, level), examples()
    same(losses_of(loss, preds, target), losses_of(loss, preds, target, torch.ones(6, 8, dtype=torch.bool)))


def before_first(tokens: list[int], end: int) -> list[int]:
    return tokens[: tokens.index(end)] if end in tokens else tokens


def decided(preds: Tensor) -> Tensor:
    """Logits in the same order, of which no two are nearly equal."""
    return preds.argsort(2).argsort(2).float()


def sharp(network: str, level: str) -> Any:
    """A loss that sees nearly what is decoded."""
    sharp_settings = {"temperatures": [SHARP], "relative_temperatures": [SHARP]}
    return built(network, level, **{} if network == "target_attention" else sharp_settings)


@each_network
@each_level
@pytest.mark.parametrize("n_positions", [7, 12])
def test_hypotheses_and_references_end_at_their_first_eos(network: str, level: str, n_positions: int) -> None:
    loss, (preds, target, _) = sharp(network, level), examples(12, n_positions)
    preds, end = decided(preds), 4
    best = preds.argmax(2).tolist()
    assert any(end in row for row in best)
    assert any(end in row for row in target.tolist())
    mask = torch.tensor([[t < len(before_first(row, end)) for t in range(n_positions)] for row in best])
    kept = [before_first([t for t in row if t != -100], end) for row in target.tolist()]
    clean = torch.tensor([row + [-100] * (7 - len(row)) for row in kept])
    expected = losses_of(loss, preds, clean, mask)
    loss.eos_id = end
    same(losses_of(loss, preds, target), expected)
    same(losses_of(loss, preds, target, mask), expected)  # a mask speaks for the hypothesis


@pytest.mark.parametrize("network", ["match", "align"])
def test_an_end_that_comes_late_or_early_has_a_gradient(network: str) -> None:
    """The loss falls along its own gradient by the end's logits alone."""
    loss = built(network)
    loss.eos_id = 0
    target = torch.tensor([[1, 2, 3, 0]])
    for tokens in ([1, 2, 3, 3, 3, 0], [1, 0, 3, 0, 0, 0]):
        preds = 3 * torch.nn.functional.one_hot(torch.tensor([tokens]), 5).float()
        features = loss.features(preds.requires_grad_(), target, None, 1)
        column = "written at 1" if network == "align" else "of hypothesis at 1"
        (gradient,) = torch.autograd.grad(features[0, loss.network.feature_names().index(column)], preds)
        assert (gradient[0, :4, 0].abs() > 1e-3).all()


def collapsed(frames: list[int], blank: int) -> list[int]:
    """Where CTC's decoding of the frames keeps one: the first of each run that is not blank."""
    return [t for t, token in enumerate(frames) if token != blank and (t == 0 or frames[t - 1] != token)]


def frames_and_tokens(masked: bool, blank: int) -> tuple[Tensor, Tensor, Tensor | None, Tensor, Tensor]:
    """Logits of frames with their targets and mask, and the logits and mask of the tokens they collapse to."""
    preds, target, mask = examples(n_positions=15)
    preds = decided(preds)
    lengths = mask.sum(1).tolist() if masked else [15] * 6
    rows = [[f[t] for t in collapsed(f[:n], blank)] for f, n in zip(preds.argmax(2).tolist(), lengths, strict=True)]
    assert sum(map(len, rows)) < sum(lengths)
    tokens = torch.tensor([row + [0] * (15 - len(row)) for row in rows])
    token_mask = torch.tensor([[t < len(row) for t in range(15)] for row in rows])
    token_logits = 8 * torch.nn.functional.one_hot(tokens, VOCABULARY).float()
    return preds, target, mask if masked else None, token_logits, token_mask


@pytest.mark.parametrize("network", ["match", "align"])
@each_level
@pytest.mark.parametrize("masked", [False, True])
def test_frames_collapse_as_ctc_s_do(network: str, level: str, masked: bool) -> None:
    blank = 2
    preds, target, mask, token_logits, token_mask = frames_and_tokens(masked, blank)
    target = target.masked_fill(target == blank, 3)
    loss = sharp(network, level)
    expected = losses_of(loss, token_logits, target, token_mask)
    loss.blank_id = blank
    torch.testing.assert_close(losses_of(loss, preds, target, mask), expected, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("network", ["match", "align"])
def test_a_blank_in_a_reference_is_never_matched(network: str) -> None:
    blank = 2
    preds, target, mask, token_logits, token_mask = frames_and_tokens(False, blank)
    assert (target == blank).any()
    loss = sharp(network, "sample")
    expected = loss.features(token_logits, target, token_mask, 1)
    loss.blank_id = blank
    torch.testing.assert_close(loss.features(preds, target, mask, 1), expected, atol=1e-3, rtol=1e-3)


@each_level
@pytest.mark.parametrize("masked", [False, True])
def test_the_paper_s_network_sees_the_frames_that_ctc_keeps(level: str, masked: bool) -> None:
    loss, (preds, target, mask) = built("target_attention", level), examples(n_positions=15)
    blank = 2
    lengths = mask.sum(1).tolist() if masked else [15] * 6
    kept = torch.zeros(6, 15, dtype=torch.bool)
    for row, (frames, length) in enumerate(zip(preds.argmax(2).tolist(), lengths, strict=True)):
        kept[row, collapsed(frames[:length], blank)] = True
    expected = losses_of(loss, preds, target, kept)
    loss.blank_id = blank
    same(losses_of(loss, preds, target, mask if masked else None), expected)


@pytest.mark.parametrize("network", ["match", "align"])
def test_frames_where_the_blank_wins_have_a_gradient(network: str) -> None:
    """A character that is missing can be mended: its logit rises where the blank stands in its stead."""
    loss = built(network, temperatures=[1.0, 0.2])
    loss.blank_id = 0
    preds = 4 * torch.nn.functional.one_hot(torch.tensor([[1, 0, 2, 0, 3]]), 5).float()
    preds[0, 3, 4] = 3.0  # nearly written
    target = torch.tensor([[1, 2, 4, 3]])
    features = loss.features(preds.requires_grad_(), target, None, 1)
    columns = ["recalled at 1", "common recall at 1", "similarity at 1"]
    for column in columns if network == "align" else ["recalled 1 at 1", "of reference at 1"]:
        value = features[0, loss.network.feature_names().index(column)]
        (gradient,) = torch.autograd.grad(value, preds, retain_graph=True)
        assert gradient[0, 3, 4] > 1e-3, column
        assert gradient[0, 3, 0] < -1e-3, column


@pytest.mark.parametrize("network", ["match", "align"])
@pytest.mark.parametrize("wrong", [False, True])
def test_no_feature_jumps_where_a_token_begins_to_win_against_the_blank(network: str, wrong: bool) -> None:
    """Else following the gradient may lead across a jump, where the loss is higher."""
    loss = built(network, temperatures=[1.0, 0.2])
    loss.blank_id = 0
    target = torch.tensor([[1, 2, 4, 3]])
    found = []
    for logit in (3.999, 4.001):
        preds = 4 * torch.nn.functional.one_hot(torch.tensor([[1, 0, 2, 0, 3]]), 6).float()
        preds[0, 3, 5 if wrong else 4] = logit
        found.append(loss.features(preds, target, None, 1))
    torch.testing.assert_close(*found, atol=0.01, rtol=0.01)


def test_n_grams_of_frames_are_those_whose_tokens_nothing_lies_between() -> None:
    loss = sharp("match", "sample")
    loss.blank_id = 0
    tokens = [[1, 1, 0, 2, 0, 3, 0, 0], [1, 0, 2, 5, 3, 0, 0, 0], [1, 0, 0, 3, 0, 0, 2, 0]]
    preds = 8 * torch.nn.functional.one_hot(torch.tensor(tokens), 6).float()
    features = loss.features(preds, torch.tensor([[1, 2, 3]] * 3), None, 1)
    names = loss.network.feature_names()
    column = names.index(next(name for name in names if name[:10] == "recalled 2"))
    torch.testing.assert_close(features[:, column] * 2, torch.tensor([2.0, 1.0, 0.0]), atol=1e-3, rtol=1e-3)


def grams(tokens: list[int], order: int) -> list[tuple[int, ...]]:
    return [tuple(tokens[i : i + order]) for i in range(len(tokens) - order + 1)]


def counted(hypothesis: list[int], reference: list[int]) -> dict[str, float]:
    """The columns of `Match` at a temperature of 0, in plain Python."""
    found: dict[str, float] = {}
    n_clipped, n_hypothesis, n_reference = [], [], []
    for order in (1, 2, 3, 4):
        ours, theirs = grams(hypothesis, order), grams(reference, order)
        clipped = sum((Counter(ours) & Counter(theirs)).values())
        found[f"precision {order}"] = math.log((clipped + 0.25) / (len(ours) + 0.25)) / 2
        found[f"recalled {order}"] = sum(g in ours for g in theirs) / max(len(theirs), 1)
        found[f"covered {order}"] = sum(g in theirs for g in ours) / max(len(ours), 1)
        n_clipped.append(clipped)
        n_hypothesis.append(len(ours))
        n_reference.append(len(theirs))
    total = sum(n_clipped)
    found["of hypothesis"] = total / max(sum(n_hypothesis), 1)
    found["of reference"] = total / max(sum(n_reference), 1)
    found["of longer"] = total / max(sum(n_hypothesis), sum(n_reference), 1)
    pairs = list(zip(hypothesis, reference, strict=False))
    found["diagonal"] = sum(a == b for a, b in pairs) / max(len(reference), 1)
    return found


def decoded(examples: Examples) -> list[tuple[list[int], list[int]]]:
    hypotheses, references = tasks.get("sequence").decode(examples, "tokens")
    return list(zip(hypotheses, references, strict=True))


@pytest.mark.parametrize("seed", range(4))
def test_sharp_matches_are_exact_counts_of_n_grams(seed: int) -> None:
    loss = built("match", "sample", temperatures=[SHARP])
    columns = loss.network.feature_names()
    preds, target, mask = examples(16, 14, 12, vocabulary=4, seed=seed)  # few words, so that they repeat
    preds = preds.argsort(2).argsort(2).float()  # no two nearly equal
    mask[0], target[1], mask[2, ::2] = False, -100, False
    features = loss.features(preds, target, mask, 1)
    for row, pair in enumerate(decoded(Examples(preds, target, {"preds_mask": mask}))):
        for name, value in counted(*pair).items():
            found = float(features[row, columns.index(f"{name} at {SHARP:g}")])
            assert found == pytest.approx(value, abs=2e-3), (name, pair)


def aligned(hypothesis: list[int], reference: list[int]) -> dict[str, float]:
    """The columns of `Align` at a temperature of 0, by the packages that compute the metrics."""
    edits = editdistance.eval(hypothesis, reference)
    longer, some = max(len(hypothesis), len(reference), 1), max(len(reference), 1)
    texts = [" ".join(map(str, tokens)) for tokens in (reference, hypothesis)]
    common = RougeScorer(["rougeL"]).score(*texts)["rougeL"]
    return {
        "similarity": 1 - edits / longer,
        "-edits by reference": -min(edits / some, 4.0),
        "-all edits by all references": -min(edits / some, 4.0),
        "-log edits": -math.log1p(edits) / 2,
        "nearly exact": math.exp(-edits),
        "exact": float(edits == 0),
        "worst": float(edits == 0),
        "common f": common.fmeasure,
        "common recall": common.recall,
        "common precision": common.precision,
        "diagonal": sum(a == b for a, b in zip(hypothesis, reference, strict=False)) / some,
        "recalled": sum(token in hypothesis for token in reference) / some,
        "written": min(len(hypothesis) / some, 4.0),
    }


@pytest.mark.parametrize("seed", range(4))
def test_sharp_alignments_are_exact_edit_distances_and_common_subsequences(seed: int) -> None:
    loss = built("align", "sample", temperatures=[SHARP])
    columns = loss.network.feature_names()
    preds, target, mask = examples(16, 14, 12, vocabulary=4, seed=seed)
    preds = decided(preds)
    mask[0], target[1], mask[2, ::2] = False, -100, False
    features = loss.features(preds, target, mask, 1)
    for row, pair in enumerate(decoded(Examples(preds, target, {"preds_mask": mask}))):
        expected = aligned(*pair)
        assert set(expected) == {c.rpartition(" at ")[0] for c in columns} - {""}
        for name, value in expected.items():
            found = float(features[row, columns.index(f"{name} at {SHARP:g}")])
            assert found == pytest.approx(value, abs=2e-3), (name, pair)


def test_alignments_of_a_set_are_means_of_its_examples_and_one_ratio_of_sums() -> None:
    loss, arguments = built("align", "set", relative_temperatures=[]), examples()
    each, of_set = loss.features(*arguments, 1), loss.features(*arguments, 6)[0]
    ratio = [i for i, name in enumerate(loss.network.feature_names()) if name.startswith("-all edits")]
    others = [i for i in range(len(of_set)) if i not in ratio]
    torch.testing.assert_close(of_set[others], each.mean(0)[others])
    lengths = (arguments[1] != -100).sum(1)
    expected = (each[:, ratio] * lengths[:, None]).sum(0) / lengths.sum()
    torch.testing.assert_close(of_set[ratio], expected)


def generated(n: int, seed: int) -> Examples:
    generator = torch.Generator().manual_seed(seed)
    return tasks.get("sequence").generate(torch.rand(n, generator=generator), generator)


def test_the_geometric_mean_ranks_as_sacrebleu_does() -> None:
    loss = built("match", "sample", temperatures=[SHARP])
    column = loss.network.feature_names().index(f"geometric mean at {SHARP:g}")
    found, values = [], []
    for seed in range(6):
        made = generated(64, seed)
        found.append(loss.features(made.preds, made.target, made.extras["preds_mask"], 1)[:, column].numpy())
        values += [find("bleu").function(*p) for p in tasks.get("sequence").points(made, "text", None)]
    assert scipy.stats.spearmanr(np.concatenate(found), values).statistic > 0.97


def test_the_geometric_mean_of_a_set_ranks_as_sacrebleu_s_of_a_corpus_does() -> None:
    loss = built("match", "set", temperatures=[SHARP])
    column = loss.network.feature_names().index(f"geometric mean at {SHARP:g}")
    found, values = [], []
    for seed in range(6):
        generator = torch.Generator().manual_seed(seed)
        made = tasks.get("sequence").generate(torch.rand(12, generator=generator), generator, 8)
        found.append(loss.features(made.preds, made.target, made.extras["preds_mask"], 8)[:, column].numpy())
        values += [find("corpus_bleu").function(*p) for p in tasks.get("sequence").points(made, "text", 8)]
    assert scipy.stats.spearmanr(np.concatenate(found), values).statistic > 0.97


def test_the_paper_s_network_sees_the_probabilities_of_the_target_alone() -> None:
    loss, (preds, target, _) = built("target_attention"), examples(n_positions=7)
    features = loss.features(preds, target, None, 1).view(6, 7, 2)
    expected = preds.softmax(2).gather(2, target.clamp_min(0)[..., None]).squeeze(2) * (target != -100)
    torch.testing.assert_close(features[..., 0], expected)
    assert torch.equal(features[..., 1] == 1, target != -100)


@each_network
@pytest.mark.slow
def test_the_exported_files_serve_the_shortest_sequences(network: str) -> None:
    loss = exported("sequence", network, "sample")
    for n_positions in (1, 2, 3, 4, 5, 9):
        for n_tokens in (1, 2, 3, 4, 6):
            preds = torch.randn(3, n_positions, 5, generator=torch.Generator().manual_seed(0))
            mask = torch.ones(3, n_positions, dtype=torch.bool)
            loss.check(preds, torch.arange(3 * n_tokens).view(3, -1) % 5, mask)


def test_relative_logits_have_their_largest_at_the_token_where_many_are_equal() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = 1e-3 * torch.randint(0, 3, (6, 8, VOCABULARY), generator=generator).float()
    logits[0] = 0.0
    relative = relative_to_margins(logits, torch.ones(6, 8, dtype=torch.bool), 2)
    np.testing.assert_array_equal(relative.argmax(2).numpy(), logits.numpy().argmax(2))


@pytest.mark.parametrize("scale", [1e-2, 30.0])
def test_relative_logits_are_the_same_at_any_scale(scale: float) -> None:
    preds, _, mask = examples()
    unscaled, scaled = (relative_to_margins(x, mask, 3) for x in (preds, scale * preds))
    torch.testing.assert_close(scaled, unscaled, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("network", ["match", "align"])
def test_relative_features_see_what_is_decoded_in_logits_that_are_nearly_equal(network: str) -> None:
    settings = {"temperatures": [1.0], "relative_temperatures": [SHARP]}
    loss, (preds, target, mask) = built(network, **settings), examples()
    columns = [i for i, name in enumerate(loss.network.feature_names()) if "relative" in name]
    decoded = 20 * torch.nn.functional.one_hot(preds.argmax(2), VOCABULARY).float()
    flat, sharp = (loss.features(x, target, mask, 1)[:, columns] for x in (1e-3 * preds, decoded))
    torch.testing.assert_close(flat, sharp, atol=1e-2, rtol=1e-2)


def general(hypothesis: list[int], reference: list[int]) -> dict[str, float]:
    """The features of a hypothesis at a sharp temperature by name."""
    loss = built("general", "sample", kinds=ALL_KINDS, temperatures=[SHARP], relative_temperatures=[])
    logits = 5.0 * torch.nn.functional.one_hot(torch.tensor([hypothesis]), VOCABULARY)
    mask = torch.ones(1, len(hypothesis), dtype=torch.bool)
    values = loss.features(logits, torch.tensor([reference]), mask, 1)[0].tolist()
    names = [name.removesuffix(f" at {SHARP:g}") for name in loss.network.feature_names()]
    return dict(zip(names, values, strict=True))


def assert_close(found: dict[str, float], expected: dict[str, float]) -> None:
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=2e-3), name


def test_counts_of_tokens_and_types_are_those_of_their_definitions() -> None:
    expected = {
        "token recall": 2 / 4,
        "token precision": 2 / 5,
        "token f": 4 / 9,
        "type recall": 2 / 3,
        "type precision": 2 / 4,
        "type jaccard": 2 / 5,
    }
    assert_close(general([1, 2, 2, 5, 6], [1, 3, 1, 2]), expected)


def test_tokens_in_place_and_right_prefixes_are_counted_from_both_ends() -> None:
    expected = {
        "first": 1,
        "last": 1,
        "in place": 2 / 5,
        "right prefix": 2 / 6,
        "right suffix": 3 / 6,
        "in place from end": 3 / 5,
        "all in place": 0,
    }
    assert_close(general([1, 2, 7, 3, 4, 5], [1, 2, 3, 4, 5]), expected)
    assert general([1, 2, 3], [1, 2, 3])["all in place"] == pytest.approx(1, abs=1e-3)


def test_the_order_of_matched_tokens_is_seen() -> None:
    forward, backward, moved = (
        general(h, [1, 2, 3, 4, 5]) for h in ([1, 2, 3, 4, 5], [5, 4, 3, 2, 1], [4, 5, 1, 2, 3])
    )
    assert forward["concordance"] == pytest.approx(10 / 10.5, abs=1e-2)
    assert backward["concordance"] == pytest.approx(-10 / 10.5, abs=1e-2)
    assert moved["concordance"] == pytest.approx((4 - 6) / 10.5, abs=1e-2)
    assert forward["bigram f"] == pytest.approx(1, abs=1e-2)
    assert moved["bigram f"] == pytest.approx(3 / 4, abs=1e-2)
    assert moved["pair f"] == pytest.approx(4 / 10, abs=1e-2)
    assert backward["bigram f"] == pytest.approx(0, abs=1e-2)


def test_edits_are_those_of_the_edit_distance() -> None:
    found = general([1, 2, 4, 4, 5], [1, 2, 3, 4])
    assert_close(found, {"similarity": 1 - 2 / 5, "-edits by reference": -2 / 4, "common recall": 3 / 4})
    assert found["at most 1 edit"] < 0.2 < 0.8 < found["at most 2 edits"]


def test_repetition_is_that_of_both_sequences() -> None:
    found = general([1, 1, 2, 1, 1], [1, 2, 3, 3])
    expected = {
        "types": 2 / 5,
        "bigrams": 3 / 4,
        "most frequent": 4 / 5,
        "repeats": 2 / 5,
        "types of reference": 3 / 4,
        "bigrams of reference": 1,
        "most frequent of reference": 2 / 4,
        "repeats of reference": 1 / 4,
    }
    assert_close(found, expected)
    assert found["-difference of types"] == pytest.approx(-(3 / 4 - 2 / 5), abs=2e-3)


def test_runs_of_equal_tokens_are_compared_at_their_places() -> None:
    found = general([1, 1, 1, 2, 2, 3], [1, 1, 2, 2, 2, 3])  # boundaries 3 and 5, of 2 and 5
    expected = {
        "boundary f": (2 + 0.5) / (4 + 0.5),
        "boundary recall": 1.5 / 2.5,
        "near boundary recall": 1,
        "runs covered": (1 + 2 / 3 + 1) / 3,
        "-difference of runs": 0,
        "ratio of runs": 0,
    }
    assert_close(found, expected)
    assert general([1, 1, 1, 1, 1, 1], [1, 1, 2, 2, 2, 3])["ratio of runs"] < 0


@pytest.mark.parametrize("kind", ALL_KINDS)
@pytest.mark.parametrize("scale", [0.0, 1.0, 50.0])
@pytest.mark.parametrize("n_positions", [1, 6])
def test_second_derivatives_are_finite_at_ties_and_where_logits_are_saturated(
    kind: str, scale: float, n_positions: int
) -> None:
    preds, target, _ = examples(3, n_positions, 4)
    loss = built("general", "sample", kinds=[kind])
    preds = (scale * preds.sign()).requires_grad_()
    features = loss.features(preds, target, torch.arange(n_positions) < torch.tensor([[0], [1], [n_positions]]), 1)
    (gradient,) = torch.autograd.grad(features.sum(), preds, create_graph=True)
    (second,) = torch.autograd.grad(gradient.square().sum(), preds)
    assert gradient.isfinite().all()
    assert second.isfinite().all()
