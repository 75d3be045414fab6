from __future__ import annotations

import itertools
import re
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from autosurrogate import tasks
from autosurrogate.errors import OutputsError
from autosurrogate.examples import Examples
from autosurrogate.registry.lookup import find

TASK = tasks.get("sequence")


def generated(severity: float, n_points: int = 48, set_size: int = 1, seed: int = 0) -> Examples:
    return TASK.generate(torch.full((n_points,), severity), torch.Generator().manual_seed(seed), set_size)


def logits_of(tokens: list[list[int]], vocabulary: int = 10, dtype: torch.dtype = torch.float32) -> Tensor:
    return 5 * F.one_hot(torch.tensor(tokens), vocabulary).to(dtype)


def test_generated_examples_have_the_task_s_shapes_and_dtypes() -> None:
    for seed in range(10):
        made = generated(0.5, 3, 5, seed)
        n, n_positions = made.preds.shape[:2]
        assert n == made.target.shape[0] == 15
        assert (made.preds.dtype, made.target.dtype) == (torch.float32, torch.int64)
        assert made.preds.isfinite().all()
        assert made.extras["preds_mask"].shape == (n, n_positions)
        assert (made.target != -100).any(1).all()
        TASK.check({name: tensor.numpy() for name, tensor in
                    {"preds": made.preds, "target": made.target, **made.extras}.items()})  # fmt: skip


def test_vocabularies_and_lengths_vary_and_hypotheses_are_of_other_lengths_than_references() -> None:
    made = [generated(0.5, 8, seed=seed) for seed in range(40)]
    vocabularies, lengths = {m.preds.shape[2] for m in made}, {m.target.shape[1] for m in made}
    assert max(vocabularies) > 3 * min(vocabularies)
    assert max(lengths) > 2 * min(lengths)
    longer = torch.cat([m.extras["preds_mask"].sum(1) - (m.target != -100).sum(1) for m in made]).sign()
    assert set(longer.tolist()) == {-1, 0, 1}


def test_the_generator_decides_everything() -> None:
    state = torch.get_rng_state()
    first, again, other = generated(0.5), generated(0.5), generated(0.5, seed=1)
    assert torch.equal(first.preds, again.preds)
    assert torch.equal(first.target, again.target)
    assert torch.equal(first.extras["preds_mask"], again.extras["preds_mask"])
    assert first.preds.shape != other.preds.shape or not torch.equal(first.preds, other.preds)
    assert torch.equal(state, torch.get_rng_state())


def test_references_are_sentences_and_words() -> None:
    made = [generated(0.5, 8, seed=seed) for seed in range(60)]
    lengths = torch.cat([(m.target != -100).sum(1) for m in made])
    assert (lengths <= 5).float().mean() > 0.15
    assert (lengths >= 12).float().mean() > 0.15


def test_some_hypotheses_and_some_whole_sets_end_at_once_or_after_a_token() -> None:
    lengths = [generated(1.0, 48, 8, seed).extras["preds_mask"].sum(1).view(48, 8) for seed in range(20)]
    few = torch.cat(lengths) <= 1
    assert 0.02 < few.float().mean() < 0.2
    assert (torch.cat(lengths) == 0).any()
    assert few.all(1).sum() >= 5


def test_within_a_set_some_examples_fare_better_than_others() -> None:
    metric = find("normalized_edit_distance")
    spread = []
    for seed in range(12):
        made = generated(0.3, 16, 16, seed)
        values = np.array([metric.function(*p) for p in TASK.points(made, "tokens", None)]).reshape(16, 16)
        spread.append(values.std(1))
    assert np.max(spread) > 3 * np.min(spread)


# The mean of the metric is at least as good as the first at severity 0, and as bad as the second at severity 1.
RANGES = {
    "bleu": (90, 25), "corpus_bleu": (90, 25), "gleu": (0.95, 0.3), "rouge1": (0.97, 0.6), "rouge2": (0.9, 0.3),
    "rougeL": (0.97, 0.5), "edit_distance": (0.1, 5), "normalized_edit_distance": (0.97, 0.4), "cer": (0.03, 0.65),
    "wer": (0.03, 0.6), "exact_match": (0.9, 0.1),
}  # fmt: skip


@pytest.mark.parametrize("name", RANGES)
def test_metrics_fall_with_the_severity_from_nearly_right_to_nearly_wrong(name: str) -> None:
    metric = find(name)
    set_size = metric.set_size if metric.level == "set" else None

    def mean(severity: float) -> float:
        made = [generated(severity, 24 if set_size is None else 2, set_size or 1, seed) for seed in range(8)]
        return float(np.mean([metric.function(*p) for m in made for p in TASK.points(m, metric.view, set_size)]))

    found = [mean(severity) for severity in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert found == sorted(found, reverse=metric.higher_is_better)
    sign = 1 if metric.higher_is_better else -1
    best, worst = RANGES[name]
    assert sign * found[0] >= sign * best
    assert sign * found[-1] <= sign * worst


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_decoding_takes_any_floating_dtype(dtype: torch.dtype) -> None:
    examples = Examples(logits_of([[4, 1, 2]], dtype=dtype), torch.tensor([[4, 1, 3]]))
    assert TASK.decode(examples, "tokens") == ([[4, 1, 2]], [[4, 1, 3]])
    assert TASK.decode(examples, "text") == (["4 1 2"], ["4 1 3"])
    assert TASK.regular_loss(examples).isfinite().all()


def test_the_mask_says_which_positions_are_the_hypothesis_holes_included() -> None:
    mask = torch.tensor([[True, False, True, True], [False, False, False, False]])
    examples = Examples(
        logits_of([[1, 2, 3, 4], [5, 6, 7, 8]]), torch.tensor([[1, 3, -100], [-100, -100, -100]]), {"preds_mask": mask}
    )
    assert TASK.decode(examples, "tokens") == ([[1, 3, 4], []], [[1, 3], []])
    assert TASK.decode(examples, "text") == (["1 3 4", ""], ["1 3", ""])


def test_without_a_mask_positions_without_a_target_are_left_out_where_both_are_as_many() -> None:
    examples = Examples(logits_of([[1, 2, 3, 4]]), torch.tensor([[-100, 2, -100, 5]]))
    assert TASK.decode(examples, "tokens") == ([[2, 4]], [[2, 5]])


def test_without_a_mask_all_positions_count_where_the_numbers_differ() -> None:
    examples = Examples(logits_of([[1, 2, 3, 4]]), torch.tensor([[1, 2, -100]]))
    assert TASK.decode(examples, "tokens") == ([[1, 2, 3, 4]], [[1, 2]])


def ids(n: int, **given: int) -> dict[str, Tensor]:
    return {f"{name}_id": torch.full((n,), token) for name, token in given.items()}


def test_hypotheses_and_references_end_at_their_first_eos() -> None:
    examples = Examples(
        logits_of([[1, 9, 3, 9], [9, 1, 2, 3], [1, 2, 3, 4]]),
        torch.tensor([[1, 2, 9, -100], [1, 9, 3, 9], [1, 2, 3, -100]]),
        ids(3, eos=9),
    )
    assert TASK.decode(examples, "tokens") == ([[1], [], [1, 2, 3, 4]], [[1, 2], [1], [1, 2, 3]])
    assert TASK.decode(examples, "text") == (["1", "", "1 2 3 4"], ["1 2", "1", "1 2 3"])


def test_a_mask_speaks_for_the_hypothesis_and_not_for_the_reference() -> None:
    mask = torch.tensor([[True, True, True, False]])
    examples = Examples(logits_of([[1, 9, 3, 9]]), torch.tensor([[1, 9, 3]]), {"preds_mask": mask, **ids(1, eos=9)})
    assert TASK.decode(examples, "tokens") == ([[1, 9, 3]], [[1]])


def test_frames_are_read_as_ctc_s() -> None:
    frames = [[0, 1, 1, 0, 1, 2, 2, 3], [0, 0, 0, 0, 0, 0, 0, 0], [3, 3, 3, 3, 0, 0, 3, 0]]
    examples = Examples(logits_of(frames), torch.tensor([[1, 1, 2], [4, -100, -100], [3, 3, -100]]), ids(3, blank=0))
    assert TASK.decode(examples, "tokens") == ([[1, 1, 2, 3], [], [3, 3]], [[1, 1, 2], [4], [3, 3]])


def test_masked_frames_are_no_frames() -> None:
    mask = torch.tensor([[False, True, True, False, True, False]])
    examples = Examples(
        logits_of([[5, 5, 5, 7, 5, 6]]), torch.tensor([[5, 5]]), {"preds_mask": mask, **ids(1, blank=0)}
    )
    assert TASK.decode(examples, "tokens") == ([[5, 5]], [[5, 5]])  # a run does not reach across what is left out


@pytest.mark.parametrize("given", [{}, {"eos": -1, "blank": -1}])
def test_without_ids_no_token_is_special(given: dict[str, int]) -> None:
    examples = Examples(logits_of([[0, 0, 1, 1]]), torch.tensor([[0, 0, 1, 1]]), ids(1, **given))
    assert TASK.decode(examples, "tokens") == ([[0, 0, 1, 1]], [[0, 0, 1, 1]])


def test_a_loss_is_told_the_ids_and_forgets_those_of_before() -> None:
    loss = torch.nn.Module()
    preds, target = logits_of([[1, 2]]), torch.tensor([[1, 2]])
    for given in ({"eos": 3, "blank": -1}, {"blank": 4}, {}):
        TASK.configure(loss, Examples(preds, target, ids(1, **given)))
        assert (loss.eos_id, loss.blank_id) == (given.get("eos", -1), given.get("blank", -1))


def test_points_of_sets_are_lists() -> None:
    examples = Examples(logits_of([[1], [2], [3], [4]]), torch.tensor([[1], [2], [3], [5]]))
    assert TASK.points(examples, "tokens", 2) == [([[1], [2]], [[1], [2]]), ([[3], [4]], [[3], [5]])]
    assert TASK.points(examples, "text", None) == [("1", "1"), ("2", "2"), ("3", "3"), ("4", "5")]


@pytest.mark.parametrize(("n_positions", "n_tokens"), [(5, 5), (7, 4), (3, 6)])
@pytest.mark.parametrize("masked", [False, True])
def test_the_regular_loss_is_cross_entropy_over_the_positions_that_both_have(
    n_positions: int, n_tokens: int, masked: bool
) -> None:
    generator = torch.Generator().manual_seed(0)
    preds = torch.randn(3, n_positions, 6, generator=generator)
    target = torch.randint(0, 6, (3, n_tokens), generator=generator)
    target[0, -2:] = -100
    target[1] = -100
    mask = torch.rand(3, n_positions, generator=generator) < 0.7 if masked else torch.ones(3, n_positions).bool()
    mask[2, 0] = True
    found = TASK.regular_loss(Examples(preds, target, {"preds_mask": mask} if masked else {}))
    for row in range(3):
        both = [t for t in range(min(n_positions, n_tokens)) if mask[row, t] and target[row, t] != -100]
        expected = F.cross_entropy(preds[row, both], target[row, both]) if both else torch.tensor(0.0)
        torch.testing.assert_close(found[row], expected)


def test_the_regular_loss_takes_any_integer_target() -> None:
    preds = logits_of([[1, 2, 3]])
    expected = TASK.regular_loss(Examples(preds, torch.tensor([[1, 2, 4]])))
    for dtype in (torch.uint8, torch.int8, torch.int16, torch.int32):
        torch.testing.assert_close(TASK.regular_loss(Examples(preds, torch.tensor([[1, 2, 4]], dtype=dtype))), expected)


def ctc_by_paths(preds: Tensor, target: list[int], blank: int) -> float:
    """The negative logarithm of the probability of all frames that are read as the target, one by one."""
    n_frames, n_classes = preds.shape
    log_probability = preds.log_softmax(1)
    found = []
    for frames in itertools.product(range(n_classes), repeat=n_frames):
        tokens = [token for t, token in enumerate(frames) if t == 0 or frames[t - 1] != token]
        if [token for token in tokens if token != blank] == target:
            found.append(log_probability[range(n_frames), list(frames)].sum())
    return -float(torch.stack(found).logsumexp(0))


def test_the_regular_loss_of_frames_is_ctc_s_by_the_number_of_tokens() -> None:
    generator = torch.Generator().manual_seed(0)
    preds = torch.randn(3, 6, 4, generator=generator, requires_grad=True)
    target = torch.tensor([[1, 3, -100], [2, 2, -100], [-100, 1, 3]])
    mask = torch.tensor([[True] * 4 + [False] * 2, [False] * 2 + [True] * 4, [True, False, True, True, False, True]])
    found = TASK.regular_loss(Examples(preds, target, {"preds_mask": mask, **ids(3, blank=0)}))
    for row in range(3):
        tokens = [t for t in target[row].tolist() if t != -100]
        expected = ctc_by_paths(preds[row][mask[row]].detach(), tokens, 0) / len(tokens)
        assert found[row].item() == pytest.approx(expected, rel=1e-5)
    found.sum().backward()
    assert preds.grad is not None
    assert (preds.grad[~mask] == 0).all()


def test_the_regular_loss_of_frames_ends_references_at_their_eos() -> None:
    preds = torch.randn(1, 5, 4, generator=torch.Generator().manual_seed(0))
    found = TASK.regular_loss(Examples(preds, torch.tensor([[1, 3, 2]]), ids(1, blank=0, eos=3)))
    torch.testing.assert_close(found, TASK.regular_loss(Examples(preds, torch.tensor([[1]]), ids(1, blank=0))))


def test_references_that_do_not_fit_in_the_frames_cost_nothing() -> None:
    preds = logits_of([[1, 2], [1, 2], [1, 2]]).requires_grad_()
    target = torch.tensor([[1, 2, 3], [1, 2, -100], [-100, -100, -100]])
    mask = torch.tensor([[True, True], [False, False], [True, True]])
    found = TASK.regular_loss(Examples(preds, target, {"preds_mask": mask, **ids(3, blank=0)}))
    assert found[:2].tolist() == [0.0, 0.0]
    assert found[2] > 0  # a reference without a token: blanks alone are right
    found.sum().backward()
    assert preds.grad is not None
    assert preds.grad.isfinite().all()


def arrays(**changed: Any) -> dict[str, np.ndarray]:
    return {"preds": np.zeros((2, 3, 4), np.float32), "target": np.array([[0, 3], [1, -100]]), **changed}


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"preds_mask": np.ones((2, 3), bool)},
        {"eos_id": np.array([3, 3]), "blank_id": np.array([2, 2], np.uint8)},
        {"eos_id": np.array([-1, -1], np.int8), "blank_id": np.array([-1, -1])},
    ],
)
def test_right_arrays_pass_the_check(more: dict[str, Any]) -> None:
    TASK.check(arrays(preds=np.zeros((2, 3, 4), np.float16), target=np.array([[0, 3], [1, -100]], np.int32), **more))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"preds": np.zeros((2, 3))}, "preds must have shape (n, n_positions, vocabulary), got (2, 3)"),
        ({"target": np.zeros(2, int)}, "target must have shape (n, n_tokens), got (2,)"),
        ({"preds": np.zeros((2, 3, 4), int)}, "preds must have a dtype of kind floating, got int64"),
        ({"target": np.zeros((2, 2))}, "target must have a dtype of kind integer, got float64"),
        (
            {"target": np.array([[0, 3], [4, 0]])},
            "target holds 4 in row 1, position 0; expected 0 to 3, or -100 for padding",
        ),
        (
            {"target": np.array([[0, -1], [3, 0]])},
            "target holds -1 in row 0, position 1; expected 0 to 3, or -100 for padding",
        ),
        (
            {"preds_mask": np.ones((2, 4), bool)},
            "preds_mask must have the shape of preds' first axes (2, 3), got (2, 4)",
        ),
        ({"preds_mask": np.ones((2, 3))}, "preds_mask must have a dtype of kind bool, got float64"),
        ({"eos_id": np.array(3)}, "eos_id must have shape (n,), got ()"),
        ({"eos_id": np.array([3.0, 3.0])}, "eos_id must have a dtype of kind integer, got float64"),
        ({"eos_id": np.array([3, 2])}, "eos_id must be the same in all rows, got 2, 3"),
        ({"eos_id": np.array([4, 4])}, "eos_id is 4; expected a token, 0 to 3, or -1 for none"),
        ({"blank_id": np.array([-2, -2])}, "blank_id is -2; expected a token, 0 to 3, or -1 for none"),
        ({"blank_id": np.array([3, 3])}, "target holds the blank, 3, in row 0, position 1"),
    ],
)
def test_each_wrong_array_has_its_message(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(OutputsError, match=re.escape(message)):
        TASK.check(arrays(**changed))


def tokens_in(regime: str) -> tuple[Tensor, Tensor, Tensor]:
    """Logits of 64 sets in a regime, their tokens, and those of a trained model, each (n_sets, n_positions, ...)."""
    made = generated(0.3, 64, 4)
    changed = TASK.in_regime(regime, made, 4, torch.Generator().manual_seed(1)).preds
    changed, trained = (x.unflatten(0, (64, 4)).flatten(1, 2) for x in (changed, made.preds))
    return changed, changed.argmax(2), trained.argmax(2)


def test_untrained_logits_are_nearly_equal_and_some_keep_the_tokens() -> None:
    logits, tokens, trained = tokens_in("untrained")
    assert logits.std(2).mean(1).median() < 0.3
    same = (tokens == trained).float().mean(1)
    assert (same > 0.9).float().mean() > 0.1
    assert (same < 0.5).float().mean() > 0.2


def test_a_collapsed_model_gives_mostly_the_same_token() -> None:
    _, tokens, trained = tokens_in("collapsed")
    share, of_trained = (F.one_hot(x).float().mean(1).amax(1).median() for x in (tokens, trained))
    assert share > 2 * of_trained
