from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import jaccard_score
from torch import Tensor

from autosurrogate import tasks
from autosurrogate.errors import OutputsError
from autosurrogate.examples import Examples

TASK = tasks.get("segmentation")


def generated(severity: float, n_points: int = 4, set_size: int = 8, seed: int = 0) -> Examples:
    return TASK.generate(torch.full((n_points,), severity), torch.Generator().manual_seed(seed), set_size)


def overlap(examples: Examples) -> float:
    """The mean IoU of all images together."""
    kept = examples.target != -100
    found: float = jaccard_score(examples.target[kept], examples.preds.argmax(1)[kept], average="macro")
    return found


def test_generated_examples_have_the_task_s_shapes_and_dtypes() -> None:
    for seed in range(10):
        made = generated(0.5, 3, 5, seed)
        assert made.preds.shape[0] == made.target.shape[0] == 15
        assert made.preds.shape[2:] == made.target.shape[1:]
        assert (made.preds.dtype, made.target.dtype) == (torch.float16, torch.int64)
        assert made.preds.isfinite().all()
        TASK.check({"preds": made.preds.numpy(), "target": made.target.numpy()})


def test_classes_heights_and_widths_vary() -> None:
    shapes = np.array([generated(0.5, 1, 2, seed).preds.shape[1:] for seed in range(60)])
    assert (shapes.min(0) <= (2, 9, 9)).all()
    assert (shapes.max(0) >= (8, 26, 26)).all()


@pytest.mark.slow
def test_of_many_images_smaller_ones_are_made() -> None:
    for seed in range(10):
        assert generated(0.5, 64, 64, seed).preds.numel() < 4_000_000


def test_the_generator_decides_everything() -> None:
    state = torch.get_rng_state()
    first, again, other = generated(0.5), generated(0.5), generated(0.5, seed=1)
    assert torch.equal(first.preds, again.preds)
    assert torch.equal(first.target, again.target)
    assert first.preds.shape != other.preds.shape or not torch.equal(first.preds, other.preds)
    assert torch.equal(state, torch.get_rng_state())


def test_overlap_falls_with_the_severity_from_all_to_nearly_none() -> None:
    found = [np.mean([overlap(generated(s, 1, 16, seed=k)) for k in range(15)]) for s in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert found == sorted(found, reverse=True)
    assert found[0] == 1
    assert found[-1] < 0.15


def in_regime(regime: str) -> tuple[Tensor, Tensor]:
    """Logits of 64 sets of a trained model, and what they become in the regime, each (n_sets, n_classes, n_pixels)."""
    made = generated(0.3, 64, 4)
    changed = TASK.in_regime(regime, made, 4, torch.Generator().manual_seed(1)).preds.half()
    before, after = (x.float().unflatten(0, (64, 4)).transpose(1, 2).flatten(2) for x in (made.preds, changed))
    return before, after


def test_untrained_logits_are_nearly_equal_keep_some_order_and_may_be_exactly_equal() -> None:
    before, after = in_regime("untrained")
    assert (after.std(1).mean(1) < 0.3 * before.std(1).mean(1)).float().mean() > 0.5
    same = (before.argmax(1) == after.argmax(1)).float().mean(1)
    assert (same > 0.95).float().mean() > 0.3
    largest, second = after.topk(2, 1).values.unbind(1)
    assert (largest == second).float().mean(1).max() > 0.5


def test_a_collapsed_model_predicts_one_class_nearly_everywhere() -> None:
    _, after = in_regime("collapsed")
    share = torch.nn.functional.one_hot(after.argmax(1)).float().mean(1).amax(1)
    assert share.median() > 0.9


def test_confidence_is_apart_from_correctness() -> None:
    # Right predictions have much and little cross-entropy, or it would rank as well as any metric.
    losses = torch.stack([TASK.regular_loss(generated(0.0, seed=k)).mean() for k in range(20)])
    assert losses.max() > 4 * losses.min()


def test_some_sets_have_pixels_without_a_target_but_no_image_has_only_those() -> None:
    left_out = [generated(0.5, seed=k).target == -100 for k in range(20)]
    assert 0.2 < np.mean([bool(one.any()) for one in left_out]) <= 1
    assert not any(one.flatten(1).all(1).any() for one in left_out)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_decoding_takes_any_floating_dtype(dtype: torch.dtype) -> None:
    preds = torch.tensor([[[[3.0, 1.0]], [[0.5, 2.0]], [[1.0, 0.0]]]], dtype=dtype)
    examples = Examples(preds, torch.tensor([[[-100, 1]]]))
    labels, target = TASK.decode(examples, "labels")
    np.testing.assert_array_equal(labels, [[[0, 1]]])
    np.testing.assert_array_equal(target, [[[-100, 1]]])
    probabilities, _ = TASK.decode(examples, "probabilities")
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-6)
    np.testing.assert_allclose(probabilities[0, :, 0, 1], np.exp([1, 2, 0]) / np.exp([1, 2, 0]).sum(), rtol=1e-6)
    assert TASK.regular_loss(examples).isfinite().all()


def test_decoding_cuts_off_the_padding_that_all_images_have() -> None:
    target = torch.full((2, 4, 5), -100)
    target[0, 2, 0], target[1, 0, 2] = 1, 0
    labels, decoded = TASK.decode(Examples(torch.zeros(2, 3, 4, 5), target), "labels")
    assert labels.shape == decoded.shape == (2, 3, 3)
    np.testing.assert_array_equal(decoded, target[:, :3, :3])
    probabilities, _ = TASK.decode(Examples(torch.zeros(2, 3, 4, 5), target), "probabilities")
    assert probabilities.shape == (2, 3, 3, 3)
    nothing = TASK.decode(Examples(torch.zeros(2, 3, 4, 5), torch.full((2, 4, 5), -100)), "labels")
    assert [len(array) for array in nothing] == [2, 2]


def test_points_of_sets_leave_out_images_without_a_target() -> None:
    preds = F.one_hot(torch.tensor([[[0, 1]], [[1, 1]], [[0, 0]], [[1, 0]]]), 2).permute(0, 3, 1, 2).float()
    examples = Examples(preds, torch.tensor([[[0, 1]], [[-100, -100]], [[1, 0]], [[-100, 1]]]))
    points = TASK.points(examples, "labels", 2)
    assert [(p.tolist(), t.tolist()) for p, t in points] == [
        ([[[0, 1]]], [[[0, 1]]]),
        ([[[0, 0]], [[1, 0]]], [[[1, 0]], [[-100, 1]]]),
    ]


def test_points_of_single_examples_are_pairs_of_maps() -> None:
    made = generated(0.5, 3, 1)
    points = TASK.points(made, "labels", None)
    assert [p.shape for p, _ in points] == [t.shape for _, t in points] == [tuple(made.target.shape[1:])] * 3


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64])
def test_any_integer_target_is_the_same_target(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    preds, target = (
        torch.randn(2, 100, 3, 4, generator=generator),
        torch.randint(0, 100, (2, 3, 4), generator=generator),
    )
    examples = Examples(preds, target.to(dtype))
    np.testing.assert_array_equal(TASK.decode(examples, "labels")[1], target.numpy())
    torch.testing.assert_close(TASK.regular_loss(examples), TASK.regular_loss(Examples(preds, target)))


def test_class_156_of_unsigned_bytes_is_not_taken_for_none() -> None:
    examples = Examples(torch.zeros(1, 200, 1, 1), torch.tensor([[[156]]], dtype=torch.uint8))
    kept: Any = TASK.has_target(examples)
    assert kept.tolist() == [True]


def test_the_regular_loss_is_cross_entropy_over_the_pixels_that_count() -> None:
    generator = torch.Generator().manual_seed(0)
    preds = torch.randn(3, 5, 4, 6, generator=generator, requires_grad=True)
    target = torch.randint(0, 5, (3, 4, 6), generator=generator)
    target[0, :2], target[1] = -100, -100
    found = TASK.regular_loss(Examples(preds, target))
    torch.testing.assert_close(found[0], F.cross_entropy(preds[:1], target[:1]))
    torch.testing.assert_close(found[2], F.cross_entropy(preds[2:], target[2:]))
    assert found[1] == 0
    found.sum().backward()
    assert preds.grad is not None
    assert (preds.grad[1] == 0).all()
    assert (preds.grad[0, :, :2] == 0).all()


def test_a_unit_is_the_same_share_of_a_logit_at_each_pixel_that_counts() -> None:
    target = torch.zeros(3, 20, 20, dtype=torch.int64)
    target[1, :15], target[2] = -100, -100
    unit: Any = TASK.unit(Examples(torch.zeros(3, 2, 20, 20), target))
    assert unit.shape == (3, 1, 1, 1)
    assert unit.flatten().tolist() == pytest.approx([1.0, 0.5, 0.05])


def arrays(**changed: Any) -> dict[str, np.ndarray]:
    return {"preds": np.zeros((2, 4, 3, 5), np.float32), "target": np.full((2, 3, 5), 3), **changed}


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_right_arrays_pass_the_check(dtype: Any) -> None:
    TASK.check(arrays(preds=np.zeros((2, 4, 3, 5), dtype), target=np.full((2, 3, 5), -100, np.int16)))


def with_pixel(value: int) -> np.ndarray:
    target = np.zeros((2, 3, 5), int)
    target[1, 2, 4] = value
    return target


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"preds": np.zeros((2, 4, 3))}, "preds must have shape (n, n_classes, height, width), got (2, 4, 3)"),
        ({"target": np.zeros((2, 15), int)}, "target must have shape (n, height, width), got (2, 15)"),
        ({"preds": np.zeros((2, 4, 3, 5), int)}, "preds must have a dtype of kind floating, got int64"),
        ({"target": np.zeros((2, 3, 5))}, "target must have a dtype of kind integer, got float64"),
        ({"preds": np.zeros((2, 1, 3, 5))}, "preds has 1 class; segmentation needs logits of 2 classes or more"),
        ({"target": np.zeros((2, 5, 3), int)}, "target must have the height and width of preds (3, 5), got (2, 5, 3)"),
        ({"target": with_pixel(4)}, "target holds 4 in row 1, pixel (2, 4); expected 0 to 3, or -100 for none"),
        ({"target": with_pixel(-1)}, "target holds -1 in row 1, pixel (2, 4); expected 0 to 3, or -100 for none"),
    ],
)
def test_each_wrong_array_has_its_message(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(OutputsError, match=re.escape(message)):
        TASK.check(arrays(**changed))


def test_a_single_logit_can_be_made_two_as_the_message_says() -> None:
    preds = np.array([[[[3.0, -2.0]]]])
    both = np.concatenate([0 * preds, preds], 1)
    examples = Examples(torch.from_numpy(both), torch.tensor([[[1, 0]]]))
    assert TASK.decode(examples, "labels")[0].tolist() == [[[1, 0]]]
    bce = F.binary_cross_entropy_with_logits(torch.tensor([3.0, -2.0]), torch.tensor([1.0, 0.0]))
    torch.testing.assert_close(TASK.regular_loss(examples)[0], bce)


def test_in_some_sets_most_images_have_no_shape() -> None:
    all_ground = torch.cat(
        [
            (TASK.generate(torch.rand(40), torch.Generator().manual_seed(k), 8).target <= 0)
            .flatten(1)
            .all(1)
            .view(40, 8)
            for k in range(8)
        ]
    )
    empty = all_ground.float().mean(1)
    assert 0.02 < (empty > 0.4).float().mean() < 0.12
    assert (empty == 0).float().mean() > 0.5
