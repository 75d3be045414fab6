from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from autosurrogate import tasks
from autosurrogate.errors import OutputsError
from autosurrogate.examples import Examples

TASK = tasks.get("classification")


def generated(severity: float, n_points: int = 4, set_size: int = 64, seed: int = 0) -> Examples:
    return TASK.generate(torch.full((n_points,), severity), torch.Generator().manual_seed(seed), set_size)


def accuracy(examples: Examples) -> float:
    return float((examples.preds.argmax(-1) == examples.target).double().mean())


def test_generated_examples_have_the_task_s_shapes_and_dtypes() -> None:
    for seed in range(10):
        made = generated(0.5, 3, 7, seed)
        assert made.preds.shape[0] == made.target.shape[0] == 21
        assert (made.preds.dtype, made.target.dtype) == (torch.float32, torch.int64)
        assert made.preds.isfinite().all()
        TASK.check({"preds": made.preds.numpy(), "target": made.target.numpy()})


def test_sizes_are_drawn_from_two_classes_to_many() -> None:
    n_classes = [generated(0.5, 1, 2, seed).preds.shape[1] for seed in range(60)]
    assert min(n_classes) < 5
    assert max(n_classes) > 60


def test_a_small_part_of_the_batches_has_up_to_a_thousand_classes() -> None:
    n_classes = [generated(0.5, 1, 2, seed).preds.shape[1] for seed in range(400)]
    many = [n for n in n_classes if n > 120]
    assert 2 <= len(many) <= 20
    assert 400 < max(many) <= 1000


def test_with_many_classes_the_error_rate_follows_the_severity_too() -> None:
    seed = next(seed for seed in range(400) if generated(0.5, 4, 64, seed).preds.shape[1] > 300)
    right, wrong = generated(0.05, 4, 64, seed), generated(0.95, 4, 64, seed)
    assert right.preds.shape[1] == wrong.preds.shape[1] > 300
    assert accuracy(right) > 0.8 > 0.2 > accuracy(wrong)


def test_large_sets_have_fewer_of_many_classes() -> None:
    n_classes = {seed: generated(0.5, 1, 2, seed).preds.shape[1] for seed in range(400)}
    seed = max(n_classes, key=n_classes.__getitem__)
    assert generated(0.5, 48, 512, seed).preds.shape[1] < n_classes[seed]
    assert generated(0.5, 48, 512, seed).preds.numel() <= 4_000_000


def test_the_generator_decides_everything() -> None:
    state = torch.get_rng_state()
    first, again, other = generated(0.5), generated(0.5), generated(0.5, seed=1)
    assert torch.equal(first.preds, again.preds)
    assert torch.equal(first.target, again.target)
    assert first.preds.shape != other.preds.shape or not torch.equal(first.preds, other.preds)
    assert torch.equal(state, torch.get_rng_state())


def test_accuracy_falls_with_the_severity_from_nearly_all_to_nearly_none() -> None:
    found = [np.mean([accuracy(generated(s, seed=k)) for k in range(15)]) for s in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert found == sorted(found, reverse=True)
    assert found[0] > 0.97
    assert found[-1] < 0.03


def test_confidence_is_apart_from_correctness() -> None:
    # Sets of one error rate have much and little cross-entropy, or it would rank as well as accuracy.
    losses = torch.stack([TASK.regular_loss(generated(0.5, seed=k)).mean() for k in range(20)])
    assert losses.max() > 1.8 * losses.min()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_decoding_takes_any_floating_dtype(dtype: torch.dtype) -> None:
    examples = Examples(torch.tensor([[1.0, 3.0, 2.0], [4.0, 0.0, 0.5]], dtype=dtype), torch.tensor([1, 2]))
    preds, target = TASK.decode(examples, "labels")
    np.testing.assert_array_equal(preds, [1, 0])
    np.testing.assert_array_equal(target, [1, 2])
    probabilities, _ = TASK.decode(examples, "probabilities")
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-6)
    np.testing.assert_allclose(probabilities[0], np.exp([1, 3, 2]) / np.exp([1, 3, 2]).sum(), rtol=1e-6)
    assert TASK.regular_loss(examples).isfinite().all()


def test_points_of_sets_leave_out_examples_without_a_target() -> None:
    examples = Examples(torch.eye(4), torch.tensor([0, -100, 1, 3]))
    points = TASK.points(examples, "labels", 2)
    assert [(p.tolist(), t.tolist()) for p, t in points] == [([0], [0]), ([2, 3], [1, 3])]


def test_points_of_single_examples_are_pairs() -> None:
    examples = Examples(torch.eye(3), torch.tensor([0, 2, 1]))
    assert [(int(p), int(t)) for p, t in TASK.points(examples, "labels", None)] == [(0, 0), (1, 2), (2, 1)]


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64])
def test_any_integer_target_is_the_same_target(dtype: torch.dtype) -> None:
    preds = torch.randn(5, 100, generator=torch.Generator().manual_seed(0))
    target = torch.tensor([0, 99, 3, 50, 7])
    examples = Examples(preds, target.to(dtype))
    np.testing.assert_array_equal(TASK.decode(examples, "labels")[1], target.numpy())
    torch.testing.assert_close(TASK.regular_loss(examples), TASK.regular_loss(Examples(preds, target)))


def test_class_156_of_unsigned_bytes_is_not_taken_for_none() -> None:
    examples = Examples(torch.zeros(1, 200), torch.tensor([156], dtype=torch.uint8))
    kept: Any = TASK.has_target(examples)
    assert kept.tolist() == [True]


def test_the_regular_loss_is_cross_entropy_and_0_without_a_target() -> None:
    preds = torch.randn(4, 5, generator=torch.Generator().manual_seed(0), requires_grad=True)
    target = torch.tensor([2, -100, 0, 4])
    found = TASK.regular_loss(Examples(preds, target))
    torch.testing.assert_close(found, F.cross_entropy(preds, target, reduction="none"))
    by_hand = -torch.log(torch.exp(preds[0, 2]) / torch.exp(preds[0]).sum())
    torch.testing.assert_close(found[0], by_hand)
    assert found[1] == 0
    found.sum().backward()
    assert preds.grad is not None
    assert (preds.grad[1] == 0).all()


def arrays(**changed: Any) -> dict[str, np.ndarray]:
    return {"preds": np.zeros((3, 4), np.float32), "target": np.array([0, 3, -100]), **changed}


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_right_arrays_pass_the_check(dtype: Any) -> None:
    TASK.check(arrays(preds=np.zeros((3, 4), dtype), target=np.array([0, 3, -100], np.int16)))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"preds": np.zeros((3, 4, 1))}, "preds must have shape (n, n_classes), got (3, 4, 1)"),
        ({"preds": np.zeros(3)}, "preds must have shape (n, n_classes), got (3,)"),
        ({"target": np.zeros((3, 1), int)}, "target must have shape (n,), got (3, 1)"),
        ({"preds": np.zeros((3, 4), int)}, "preds must have a dtype of kind floating, got int64"),
        ({"target": np.zeros(3)}, "target must have a dtype of kind integer, got float64"),
        ({"preds": np.zeros((3, 1))}, "preds has 1 class; classification needs logits of 2 classes or more"),
        ({"target": np.array([0, 4, 1])}, "target holds 4 in row 1; expected 0 to 3, or -100 for none"),
        ({"target": np.array([0, 1, -1])}, "target holds -1 in row 2; expected 0 to 3, or -100 for none"),
    ],
)
def test_each_wrong_array_has_its_message(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(OutputsError, match=re.escape(message)):
        TASK.check(arrays(**changed))
