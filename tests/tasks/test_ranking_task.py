from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch

from autosurrogate import tasks
from autosurrogate.errors import OutputsError
from autosurrogate.examples import Examples
from autosurrogate.metrics.ndcg import ndcg

TASK = tasks.get("ranking")


def generated(severity: float, n_lists: int = 32, seed: int = 0) -> Examples:
    return TASK.generate(torch.full((n_lists,), severity), torch.Generator().manual_seed(seed))


def mean_ndcg(examples: Examples) -> float:
    return float(np.mean([ndcg(*point) for point in TASK.points(examples, "lists", None)]))


def test_generated_lists_have_the_task_s_shapes_and_dtypes() -> None:
    for seed in range(10):
        made = TASK.generate(torch.full((3,), 0.5), torch.Generator().manual_seed(seed), 7)
        assert made.preds.shape == made.target.shape
        assert len(made) == 21
        assert (made.preds.dtype, made.target.dtype) == (torch.float32, torch.int64)
        assert made.preds.isfinite().all()
        TASK.check({"preds": made.preds.numpy(), "target": made.target.numpy()})


def test_lengths_grades_and_shares_of_relevant_items_are_drawn() -> None:
    lists = [t for seed in range(20) for _, t in TASK.points(generated(0.5, seed=seed), "lists", None)]
    lengths = [len(t) for t in lists]
    assert min(lengths) < 5
    assert 50 < np.quantile(lengths, 0.99) < 200
    assert {int(grade) for t in lists for grade in t} == set(range(11))
    assert 0.03 < np.mean([t.max() > 4 for t in lists]) < 0.12
    shares = np.array([(t > 0).mean() for t in lists if len(t) > 9])
    assert shares.min() < 0.1
    assert shares.max() > 0.9
    assert 0.1 < np.mean([t.max() == 1 for t in lists]) < 0.7  # 0 and 1 alone


def test_some_calls_of_few_lists_have_lists_of_up_to_200_items() -> None:
    longest = [generated(0.5, 8, seed).preds.shape[1] for seed in range(400)]
    assert 0.02 < np.mean([length > 60 for length in longest]) < 0.09
    assert 150 < max(longest) <= 200
    assert max(generated(0.5, 513, seed).preds.shape[1] for seed in range(100)) <= 60


def test_each_list_has_a_relevant_item_and_nearly_each_an_irrelevant_one() -> None:
    lists = [t for seed in range(20) for _, t in TASK.points(generated(0.5, seed=seed), "lists", None)]
    assert all((t > 0).any() for t in lists)
    assert np.mean([(t == 0).any() for t in lists]) > 0.8


def test_the_generator_decides_everything() -> None:
    state = torch.get_rng_state()
    first, again, other = generated(0.5), generated(0.5), generated(0.5, seed=1)
    assert torch.equal(first.preds, again.preds)
    assert torch.equal(first.target, again.target)
    assert first.preds.shape != other.preds.shape or not torch.equal(first.preds, other.preds)
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.slow
def test_ndcg_falls_with_the_severity_from_nearly_1_to_less_than_any_order_would_have() -> None:
    found = [np.mean([mean_ndcg(generated(s, seed=k)) for k in range(8)]) for s in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert found == sorted(found, reverse=True)
    assert found[0] > 0.97
    shuffled = [generated(0.5, seed=k) for k in range(8)]
    by_chance = np.mean([mean_ndcg(e.with_preds(torch.rand(e.preds.shape))) for e in shuffled])
    assert found[-1] < by_chance - 0.1


def test_the_scale_of_scores_is_apart_from_the_quality() -> None:
    scales = TASK.unit(generated(0.5, 500)).log()
    assert scales.std() > 1
    good, bad = (TASK.unit(generated(s, 500)).log().mean() for s in (0.1, 0.9))
    assert abs(good - bad) < 0.3


def test_ties_are_there_but_rare() -> None:
    points = TASK.points(generated(0.5, 500), "lists", None)
    tied = np.mean([len(set(p.tolist())) < len(p) for p, _ in points])
    assert 0 < tied < 0.15


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_decoding_takes_away_the_padding(dtype: torch.dtype) -> None:
    preds = torch.tensor([[1.0, 3.0, 2.0], [4.0, -torch.inf, 0.5]], dtype=dtype)
    scores, relevance = TASK.decode(Examples(preds, torch.tensor([[0, 2, 1], [3, -1, 0]])), "lists")
    assert [row.tolist() for row in scores] == [[1.0, 3.0, 2.0], [4.0, 0.5]]
    assert [row.tolist() for row in relevance] == [[0, 2, 1], [3, 0]]
    assert relevance[0].dtype == np.int64


def test_relevance_may_be_broken() -> None:
    examples = Examples(torch.zeros(1, 3), torch.tensor([[0.5, -1.0, 2.25]]))
    assert TASK.decode(examples, "lists")[1][0].tolist() == [0.5, 2.25]


def test_points_are_lists_or_sets_of_lists() -> None:
    examples = generated(0.5, 6)
    scores, relevance = TASK.points(examples, "lists", None)[2]
    assert scores.shape == relevance.shape
    sets = TASK.points(examples, "lists", 3)
    assert [len(s) for s, _ in sets] == [3, 3]
    np.testing.assert_array_equal(sets[0][0][2], scores)


def test_the_regular_loss_is_listnet_s_by_hand() -> None:
    scores, relevance = torch.tensor([[1.0, -2.0, 0.5, 9.0]]), torch.tensor([[3, 0, 1, -1]])
    share = torch.exp(scores[0, :3]) / torch.exp(scores[0, :3]).sum()
    expected = -(0.75 * share[0].log() + 0.25 * share[2].log())
    torch.testing.assert_close(TASK.regular_loss(Examples(scores, relevance))[0], expected)


@pytest.mark.parametrize("padding", [0.0, 1e4, -torch.inf, torch.inf, torch.nan])
def test_scores_of_padding_have_no_effect(padding: float) -> None:
    scores = torch.randn(2, 4, generator=torch.Generator().manual_seed(0))
    relevance = torch.tensor([[1, 0, 2, 0], [0, 1, 0, 0]])
    padded = torch.cat([scores, torch.full((2, 3), padding)], 1).requires_grad_()
    more = Examples(padded, torch.cat([relevance, torch.full((2, 3), -1)], 1))
    found = TASK.regular_loss(more)
    torch.testing.assert_close(found, TASK.regular_loss(Examples(scores, relevance)))
    torch.testing.assert_close(TASK.unit(more), TASK.unit(Examples(scores, relevance)))
    found.sum().backward()
    assert padded.grad is not None
    assert (padded.grad[:, 4:] == 0).all()
    assert padded.grad.isfinite().all()


@pytest.mark.parametrize("relevance", [[0, 0, 0], [-1, -1, -1], [0, -1, -1]])
def test_a_list_without_relevant_items_has_no_regular_loss(relevance: list[int]) -> None:
    preds = torch.randn(1, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
    found = TASK.regular_loss(Examples(preds, torch.tensor([relevance])))
    found.sum().backward()
    assert found.item() == 0
    assert preds.grad is not None
    assert (preds.grad == 0).all()


def test_the_unit_is_the_deviation_of_a_list_s_scores() -> None:
    scores = torch.tensor([[1.0, 5.0, 3.0, 100.0], [2.0, 2.0, 2.0, 2.0]])
    unit = TASK.unit(Examples(scores, torch.tensor([[0, 1, 0, -1], [0, 1, 0, 0]])))
    torch.testing.assert_close(unit, torch.tensor([[np.std([1, 5, 3])], [1e-3]], dtype=torch.float32))


def arrays(**changed: Any) -> dict[str, np.ndarray]:
    return {"preds": np.zeros((2, 3), np.float32), "target": np.array([[0, 4, -1], [1, 0, 2]]), **changed}


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.float16, np.float64])
def test_right_arrays_pass_the_check(dtype: Any) -> None:
    TASK.check(arrays(target=np.array([[0, 4, -1], [1, 0, 2]], dtype)))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"preds": np.zeros((2, 3, 1))}, "preds must have shape (n, n_items), got (2, 3, 1)"),
        ({"preds": np.zeros((2, 3), int)}, "preds must have a dtype of kind floating, got int64"),
        ({"target": np.zeros((2, 4))}, "target must have the shape of preds (2, 3), got (2, 4)"),
        ({"target": np.zeros((2, 3), bool)}, "target must have a dtype of kind number, got bool"),
        (
            {"target": np.array([[0, 1, 2], [0, -100, 1]])},
            "target holds -100 in row 1, position 1; expected a relevance of 0 or more, or -1 for padding",
        ),
        ({"target": np.array([[0, 1, np.nan], [0, 0, 1]])}, "target holds nan in row 0, position 2"),
        ({"target": np.array([[0, 1, 2], [np.inf, 0, 1]])}, "target holds inf in row 1, position 0"),
    ],
)
def test_each_wrong_array_has_its_message(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(OutputsError, match=re.escape(message)):
        TASK.check(arrays(**changed))


def in_regime(regime: str, set_size: int = 1) -> tuple[Examples, Examples]:
    """Points of trained models, and the same in a regime."""
    made = TASK.generate(torch.rand(400, generator=torch.Generator().manual_seed(1)), torch.Generator(), set_size)
    return made, TASK.in_regime(regime, made, set_size, torch.Generator().manual_seed(2))


def deviations(examples: Examples) -> torch.Tensor:
    return torch.tensor([row[target >= 0].std() for row, target in zip(examples.preds, examples.target, strict=True)])


def test_untrained_scores_are_nearly_equal_in_the_same_order_but_for_ties() -> None:
    made, changed = in_regime("untrained")
    assert deviations(changed).max() < 0.5
    assert deviations(changed).median() < 0.05
    tied = 0
    for before, after, target in zip(made.preds, changed.preds, made.target, strict=True):
        before, after = before[target >= 0], after[target >= 0]
        assert (after[before.argsort()].diff() >= -1e-6).all()
        tied += len(after.unique()) < len(before.unique())
    assert 0.08 < tied / len(made) < 0.25


def test_collapsed_scores_are_tied_or_in_the_order_given() -> None:
    _, changed = in_regime("collapsed", set_size=2)
    constant, as_given, few = [], [], []
    for scores, target in zip(changed.preds, changed.target, strict=True):
        scores = scores[target >= 0]
        constant.append(bool((scores == scores[0]).all()))
        as_given.append(not constant[-1] and bool((scores.diff() < 0).all() or (scores.diff() > 0).all()))
        few.append(not constant[-1] and not as_given[-1] and len(scores.unique()) < len(scores))
    assert constant[::2] == constant[1::2]  # all lists of a point are alike
    for kind in (constant, as_given, few):
        assert sum(kind) > 0.15 * len(changed)


def test_the_sharpness_of_a_list_is_that_of_its_items_not_of_padding() -> None:
    preds = torch.tensor([[2.0, 0.0, 99.0], [1.0, 0.0, 2.0]])
    target = torch.tensor([[1, 0, -1], [1, 0, 0]])
    sharpness = tasks.get("ranking").traits(Examples(preds, target), 1)["sharpness"]
    assert sharpness.tolist() == pytest.approx([1.0, 2 / 3])
