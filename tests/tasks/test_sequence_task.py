from __future__ import annotations

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
from autosurrogate.metric import find

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


@pytest.mark.parametrize("name", ["bleu", "corpus_bleu"])
def test_bleu_falls_with_the_severity(name: str) -> None:
    metric = find(name)
    set_size = metric.set_size if metric.level == "set" else None

    def mean(severity: float) -> float:
        made = [generated(severity, 24 if set_size is None else 2, set_size or 1, seed) for seed in range(8)]
        return float(np.mean([metric.function(*p) for m in made for p in TASK.points(m, metric.view, set_size)]))

    found = [mean(severity) for severity in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert found == sorted(found, reverse=True)
    assert found[0] > 90
    assert found[-1] < 25


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


def arrays(**changed: Any) -> dict[str, np.ndarray]:
    return {"preds": np.zeros((2, 3, 4), np.float32), "target": np.array([[0, 3], [1, -100]]), **changed}


@pytest.mark.parametrize("mask", [{}, {"preds_mask": np.ones((2, 3), bool)}])
def test_right_arrays_pass_the_check(mask: dict[str, Any]) -> None:
    TASK.check(arrays(preds=np.zeros((2, 3, 4), np.float16), target=np.array([[0, 3], [1, -100]], np.int32), **mask))


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
    ],
)
def test_each_wrong_array_has_its_message(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(OutputsError, match=re.escape(message)):
        TASK.check(arrays(**changed))
