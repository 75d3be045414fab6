from __future__ import annotations

import re
from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from autosurrogate import tasks
from autosurrogate.errors import OutputsError
from autosurrogate.examples import Examples
from autosurrogate.tasks.span import best_spans

TASK = tasks.get("span")
INF = float("inf")


def generated(severity: float, n_points: int = 6, set_size: int = 8, seed: int = 0, view: str = "") -> Examples:
    return TASK.generate(torch.full((n_points,), severity), torch.Generator().manual_seed(seed), set_size, view)


def arrays_of(examples: Examples) -> dict[str, np.ndarray]:
    tensors = {"preds": examples.preds, "target": examples.target, **examples.extras}
    return {name: tensor.numpy() for name, tensor in tensors.items()}


def by_trying_all(start: list[float], end: list[float]) -> tuple[int, int]:
    """The best span; of equals the one that ends first, then the one that starts first."""
    spans = [(s, e) for e in range(len(end)) for s in range(e + 1)]
    return max(spans, key=lambda span: start[span[0]] + end[span[1]])


@pytest.mark.parametrize("n_positions", [1, 2, 3, 9])
def test_decoding_finds_the_best_span_of_all(n_positions: int) -> None:
    preds = torch.randint(-3, 4, (200, 2, n_positions), generator=torch.Generator().manual_seed(0)).float()  # many ties
    preds[:100, :, n_positions // 2 + 1 :] = -INF
    found = best_spans(preds)
    for row, (start, end) in enumerate(preds.tolist()):
        assert tuple(found[row].tolist()) == by_trying_all(start, end)


def test_a_start_behind_the_end_is_never_taken_however_high() -> None:
    start, end = [0.0, 1.0, 0.0, 9.5], [0.0, 8.0, 0.5, 0.0]
    assert best_spans(torch.tensor([[start, end]])).tolist() == [[3, 3]]
    assert best_spans(torch.tensor([[[0.0, 1.0, 0.0, 6.0], end]])).tolist() == [[1, 1]]


def test_where_no_span_is_possible_it_is_the_first_position() -> None:
    for preds in (torch.full((1, 2, 3), -INF), torch.tensor([[[-INF, -INF, 0.0], [0.0, -INF, -INF]]])):
        assert best_spans(preds).tolist() == [[0, 0]]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_decoding_takes_any_floating_dtype(dtype: torch.dtype) -> None:
    preds = torch.tensor([[[0.0, 2.0, 0.0], [0.0, 0.0, 2.0]]], dtype=dtype)
    preds_found, target_found = TASK.decode(Examples(preds, torch.tensor([[0, 1]], dtype=torch.int16)), "positions")
    assert (preds_found.tolist(), target_found.tolist()) == ([[1, 2]], [[0, 1]])


def test_generated_examples_have_masked_positions_at_both_ends_and_the_target_among_the_others() -> None:
    before, after = set(), set()
    for seed in range(20):
        made = generated(0.5, seed=seed)
        open_ = made.preds.isfinite()
        assert torch.equal(open_[:, 0], open_[:, 1])
        assert open_.gather(2, made.target[:, None].expand(-1, 2, -1)).all()
        assert (made.target[:, 0] <= made.target[:, 1]).all()
        before.add(bool((~open_[:, 0, 0]).any()))
        after.add(bool((~open_[:, 0, -1]).any()))
    assert before == after == {True, False}


def test_lengths_vary_of_passages_and_of_targets_which_are_mostly_short() -> None:
    made = [generated(0.5, seed=seed) for seed in range(40)]
    n_positions = {m.preds.shape[2] for m in made}
    assert max(n_positions) > 3 * min(n_positions)
    lengths = torch.cat([m.target[:, 1] - m.target[:, 0] + 1 for m in made]).double()
    assert 1 <= lengths.median() <= 4
    assert lengths.max() > 15


@pytest.mark.parametrize("view", ["positions", "text"])
def test_the_generator_decides_everything(view: str) -> None:
    state = torch.get_rng_state()
    first, again, other = (arrays_of(generated(0.5, seed=seed, view=view)) for seed in (0, 0, 1))
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert first["preds"].shape != other["preds"].shape or not np.array_equal(first["preds"], other["preds"])
    assert torch.equal(state, torch.get_rng_state())


def test_there_is_text_for_metrics_of_text_alone_and_the_spans_are_the_same() -> None:
    without, with_text = generated(0.5), generated(0.5, view="text")
    assert without.extras == {}
    assert with_text.extras.keys() == {"text", "offsets", "answers"}
    assert torch.equal(without.preds, with_text.preds)


def f1_of_sets(examples: Examples, set_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean F1 of positions, and share of spans that are right, of each set."""
    preds, target = (array.tolist() for array in TASK.decode(examples, "positions"))
    found = []
    for (s, e), (first, last) in zip(preds, target, strict=True):
        ours, right = set(range(s, e + 1)), set(range(first, last + 1))
        found.append(2 * len(ours & right) / (len(ours) + len(right)))
    f1 = np.array(found).reshape(-1, set_size)
    return f1.mean(1), (f1 == 1).mean(1)


def test_f1_and_exact_match_fall_with_the_severity_from_nearly_all_to_nearly_nothing() -> None:
    severities = (0.0, 0.25, 0.5, 0.75, 1.0)
    found = np.array([[f1_of_sets(generated(s, 4, 32, k), 32) for k in range(8)] for s in severities]).mean((1, 3))
    assert (np.diff(found, axis=0) < 0).all()
    assert (found[0] > 0.95).all()
    assert found[-1, 0] < 0.25
    assert found[-1, 1] < 0.08


def test_sets_of_one_exact_match_have_much_and_little_f1() -> None:
    found = [f1_of_sets(generated(0.6, 12, 64, seed), 64) for seed in range(6)]
    f1, exact = (np.concatenate(values) for values in zip(*found, strict=True))
    assert np.ptp(f1[np.abs(exact - 0.25) < 0.06]) > 0.15


def test_texts_are_right_less_often_with_the_severity() -> None:
    def share(severity: float) -> float:
        made = [TASK.decode(generated(severity, 8, 4, seed, "text"), "text") for seed in range(6)]
        return float(np.mean([ours in right for m in made for ours, right in zip(*m, strict=True)]))

    assert share(0.0) > 0.95
    assert 0.2 < share(0.5) < 0.7
    assert share(1.0) < 0.15


def test_confidence_is_apart_from_correctness() -> None:
    losses = torch.stack([TASK.regular_loss(generated(0.5, 1, 64, seed)).mean() for seed in range(30)])
    assert losses.max() > 2 * losses.min()


def words_of(examples: Examples) -> list[list[str]]:
    """The text of each position that has some."""
    found = []
    for text, offsets in zip(examples.extras["text"].tolist(), examples.extras["offsets"].tolist(), strict=True):
        found.append(["".join(map(chr, text[first:end])) for first, end in offsets if end > first])
    return found


def test_texts_have_a_word_a_position_articles_marks_and_capitals() -> None:
    made = [generated(0.5, seed=seed, view="text") for seed in range(20)]
    for m in made:
        n_open = m.preds[:, 0].isfinite().sum(1).tolist()
        assert [len(row) for row in words_of(m)] == n_open
        assert not any(" " in word or "\0" in word for row in words_of(m) for word in row)
    counts = Counter(word.lower() for m in made for row in words_of(m) for word in row)
    total = sum(counts.values())
    assert 0.04 < sum(counts[a] for a in ("a", "an", "the")) / total < 0.16
    assert 0.05 < sum(count for word, count in counts.items() if not word[0].isalnum()) / total < 0.18
    capitals = sum(word[0].isupper() for m in made for row in words_of(m) for word in row)
    assert 0.05 < capitals / total < 0.25


def test_the_target_ends_with_a_word_as_answers_do() -> None:
    for seed in range(10):
        made = generated(0.5, seed=seed, view="text")
        ends = [answers[0] for answers in TASK.decode(made, "text")[1]]
        assert all(re.search(r"\w$", answer) for answer in ends)


def test_words_are_parted_by_spaces_and_marks_are_not() -> None:
    examples = generated(0.5, view="text", seed=3)
    text = "".join(map(chr, examples.extras["text"][0][examples.extras["text"][0] > 0].tolist()))
    assert re.search(r"\w \w", text)
    assert not re.search(r" [,.;)]", text)
    assert "  " not in text


def test_further_answers_lie_about_the_target_in_some_examples() -> None:
    answers, target = [], []
    for seed in range(20):
        made = generated(0.5, seed=seed, view="text")
        answers.append(made.extras["answers"])
        target.append(made.target)
    found, right = torch.cat(answers), torch.cat(target)[:, None]
    there = (found >= 0).all(2)
    assert ((found == -1).all(2) | there).all()
    assert 0.05 < there.double().mean() < 0.6
    touching = (found[..., 0] <= right[..., 1]) & (found[..., 1] >= right[..., 0])
    assert touching[there].double().mean() > 0.6
    assert (found != right).any(2)[there].all()


TEXT = "In the town of Ulm (1879), he was born."
WORDS = [(m.start(), m.end()) for m in re.finditer(r"\w+|[^\w\s]", TEXT)]


def of_text(preds: Tensor, target: list[int], answers: list[list[int]] | None = None) -> Examples:
    extras = {
        "text": torch.tensor([[*map(ord, TEXT), 0, 0, 0]], dtype=torch.int32),
        "offsets": torch.tensor([[(0, 0), *WORDS, (0, 0)]], dtype=torch.int32),
    }
    if answers is not None:
        extras["answers"] = torch.tensor([answers])
    return Examples(preds, torch.tensor([target]), extras)


def peaks(first: int, last: int) -> Tensor:
    preds = torch.zeros(1, 2, len(WORDS) + 2)
    preds[:, :, [0, -1]] = -INF
    preds[0, 0, first] = preds[0, 1, last] = 5.0
    return preds


def test_text_is_cut_from_the_passage_with_all_that_stands_between() -> None:
    examples = of_text(peaks(5, 8), [5, 5], [[3, 5], [-1, -1]])
    TASK.check(arrays_of(examples))
    assert TASK.decode(examples, "text") == (["Ulm (1879)"], [["Ulm", "town of Ulm"]])
    assert TASK.points(examples, "text", None) == [("Ulm (1879)", ["Ulm", "town of Ulm"])]
    assert TASK.points(examples, "text", 1) == [(["Ulm (1879)"], [["Ulm", "town of Ulm"]])]
    assert TASK.decode(of_text(peaks(2, 2), [5, 5]), "text") == (["the"], [["Ulm"]])


@pytest.mark.parametrize("name", ["text", "offsets"])
def test_without_text_a_metric_of_text_cannot_be_given_anything(name: str) -> None:
    examples = of_text(peaks(5, 5), [5, 5])
    del examples.extras[name]
    with pytest.raises(OutputsError, match=f"there is no array '{name}', which a metric of text needs"):
        TASK.decode(examples, "text")
    assert TASK.decode(examples, "positions")[0].tolist() == [[5, 5]]


def test_the_regular_loss_is_the_mean_of_two_cross_entropies() -> None:
    preds = torch.randn(5, 2, 7, generator=torch.Generator().manual_seed(0))
    preds[:, :, 5:] = -INF
    target = torch.tensor([[0, 4], [2, 2], [1, 3], [0, 0], [4, 4]])
    expected = [
        (F.cross_entropy(preds[i, 0, :5], target[i, 0]) + F.cross_entropy(preds[i, 1, :5], target[i, 1])) / 2
        for i in range(5)
    ]
    torch.testing.assert_close(TASK.regular_loss(Examples(preds, target)), torch.stack(expected))
    torch.testing.assert_close(TASK.regular_loss(Examples(preds, target.to(torch.uint8))), torch.stack(expected))


def test_the_regular_loss_and_its_gradient_are_finite_where_the_target_is_masked() -> None:
    preds = torch.randn(3, 2, 4, generator=torch.Generator().manual_seed(0))
    preds[0, :, 2:], preds[1] = -INF, -INF
    preds.requires_grad_()
    found = TASK.regular_loss(Examples(preds, torch.tensor([[3, 3], [0, 1], [0, 1]])))
    found.sum().backward()
    assert found.isfinite().all()
    assert preds.grad is not None
    assert preds.grad.isfinite().all()
    assert (preds.grad[0, :, 2:] == 0).all()


def arrays(**changed: Any) -> dict[str, np.ndarray]:
    return {"preds": np.zeros((2, 2, 4), np.float16), "target": np.array([[0, 3], [1, 1]]), **changed}


def with_text(**changed: Any) -> dict[str, np.ndarray]:
    offsets = np.tile(np.array([[0, 1], [2, 3], [4, 5], [0, 0]]), (2, 1, 1))
    return arrays(**{"text": np.full((2, 5), 65, np.uint32), "offsets": offsets, **changed})


@pytest.mark.parametrize("right", [arrays(), with_text(), with_text(answers=np.array([[[0, 1]], [[-1, -1]]]))])
def test_right_arrays_pass_the_check(right: dict[str, np.ndarray]) -> None:
    TASK.check(right)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (arrays(preds=np.zeros((2, 4))), "preds must have shape (n, 2, n_positions), got (2, 4)"),
        (arrays(preds=np.zeros((2, 3, 4))), "preds must have 2 columns, of start and end, got (2, 3, 4)"),
        (arrays(target=np.zeros((2, 3), int)), "target must have 2 columns, of start and end, got (2, 3)"),
        (arrays(target=np.zeros(2, int)), "target must have shape (n, 2), got (2,)"),
        (arrays(preds=np.zeros((2, 2, 4), int)), "preds must have a dtype of kind floating, got int64"),
        (arrays(target=np.zeros((2, 2))), "target must have a dtype of kind integer, got float64"),
        (
            arrays(target=np.array([[0, 3], [2, 4]])),
            "target holds the span [2, 4]; expected first <= last position, both 0 to 3",
        ),
        (
            arrays(target=np.array([[3, 0], [2, 3]])),
            "target holds the span [3, 0]; expected first <= last position, both 0 to 3",
        ),
        (arrays(text=np.ones((2, 5), int)), "holds text without offsets; the text of a position needs both"),
        (arrays(offsets=np.ones((2, 4, 2), int)), "holds offsets without text; the text of a position needs both"),
        (with_text(text=np.ones((2, 5))), "text must have a dtype of kind integer, got float64"),
        (with_text(text=np.full((2, 5), 1 << 21)), "text must hold code points, 0 to 1114111, got 2097152 to 2097152"),
        (with_text(offsets=np.ones((2, 3, 2), int)), "offsets must have shape (2, 4, 2), got (2, 3, 2)"),
        (
            with_text(text=np.full((2, 4), 65)),
            "offsets holds [4, 5] in row 0, position 2; expected first <= end character, both 0 to 4",
        ),
        (with_text(answers=np.zeros((2, 2), int)), "answers must have shape (n, n_answers, 2), got (2, 2)"),
        (
            with_text(answers=np.array([[[0, 1]], [[-1, 2]]])),
            "answers holds the span [-1, 2]; expected first <= last position, both 0 to 3, or -1 and -1 for padding",
        ),
    ],
)
def test_each_wrong_array_has_its_message(wrong: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(OutputsError, match=re.escape(message)):
        TASK.check(wrong)


def spans_in(regime: str) -> tuple[Tensor, Tensor, Tensor]:
    """Logits of 64 sets in a regime, what is predicted, and what a trained model predicts, each (n_sets, 8, ...)."""
    made = generated(0.3, 64)
    changed = TASK.in_regime(regime, made, 8, torch.Generator().manual_seed(1)).preds
    assert torch.equal(changed.isfinite(), made.preds.isfinite())
    predicted, trained = best_spans(changed), best_spans(made.preds)
    return changed.unflatten(0, (64, 8)), predicted.unflatten(0, (64, 8)), trained.unflatten(0, (64, 8))


def test_untrained_logits_are_nearly_flat_and_some_predict_as_a_trained_model() -> None:
    logits, predicted, trained = spans_in("untrained")
    spread = torch.where(logits.isfinite(), logits, logits.amax(3, keepdim=True)).std(3).mean((1, 2))
    assert spread.median() < 0.2
    same = (predicted == trained).all(2).float().mean(1)
    assert (same > 0.9).float().mean() > 0.1
    assert (same < 0.5).float().mean() > 0.3


def test_a_collapsed_model_predicts_nearly_the_same_span_for_all() -> None:
    _, predicted, trained = spans_in("collapsed")
    apart = [(x - x.median(1, keepdim=True).values).abs().float().mean() for x in (predicted, trained)]
    assert apart[0] < 0.7 * apart[1]


def test_some_targets_and_some_predictions_are_the_whole_passage_or_one_position() -> None:
    whole, single, whole_target = [], [], []
    for seed in range(20):
        made = generated(1.0, 4, 64, seed)
        valid = made.preds.isfinite().all(1)
        n_valid = valid.sum(1)
        found = best_spans(made.preds)
        lengths, target_lengths = (spans[:, 1] - spans[:, 0] + 1 for spans in (found, made.target))
        whole.append((lengths == n_valid).float().mean().item())
        single.append((lengths == 1).float().mean().item())
        whole_target.append((target_lengths == n_valid).float().mean().item())
    assert 0.04 < np.mean(whole) < 0.2
    assert 0.2 < np.mean(single) < 0.6
    assert 0.015 < np.mean(whole_target) < 0.1
