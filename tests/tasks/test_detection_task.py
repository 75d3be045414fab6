from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from autosurrogate import tasks
from autosurrogate.errors import OutputsError
from autosurrogate.examples import Examples
from autosurrogate.tasks._boxes import overlaps

TASK = tasks.get("detection")
SET_SIZE = 16


def generated(severity: float, n_points: int = 4, set_size: int = SET_SIZE, seed: int = 0) -> Examples:
    return TASK.generate(torch.full((n_points,), severity), torch.Generator().manual_seed(seed), set_size)


def one_image(preds: list[list[float]], target: list[list[float]]) -> Examples:
    return Examples(torch.tensor([preds]), torch.tensor([target]))


def test_sizes_are_drawn() -> None:
    made = [generated(0.5, 1, 4, seed) for seed in range(60)]
    assert {m.preds.shape[2] - 4 for m in made} == {1, 2, 3, 4, 5}
    assert {m.target.shape[1] for m in made} == set(range(2, 7))
    assert max(m.preds.shape[1] for m in made) > 3 * min(m.preds.shape[1] for m in made)
    assert any((m.target[..., 4] < 0).all(1).any() for m in made)  # an image without a true box


def test_a_single_image_has_a_true_box() -> None:
    assert (generated(0.5, 500, 1).target[..., 4] >= 0).any(1).all()


def best_iou(severity: float) -> Tensor:
    """Of each true box, the IoU of the best query; of many sets."""
    found = []
    for seed in range(12):
        made = generated(severity, seed=seed)
        found.append(overlaps(made.preds[..., :4], made.target[..., :4])[0].amax(1)[made.target[..., 4] >= 0])
    return torch.cat(found)


def test_overlap_falls_with_the_severity_from_nearly_all_to_nearly_none() -> None:
    found = [float(best_iou(severity).mean()) for severity in (0.0, 0.3, 0.6, 1.0)]
    assert found == sorted(found, reverse=True)
    assert found[0] > 0.95
    assert found[-1] < 0.45  # that of boxes somewhere


def test_scores_are_apart_from_quality() -> None:
    # The same AP goes with sure and with unsure detections.
    highest = torch.stack([generated(0.0, 1, seed=k).preds[..., 4:].max() for k in range(40)])
    assert highest.min() < 0.5
    assert highest.max() > 5


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_a_query_is_a_detection_of_its_best_class(dtype: torch.dtype) -> None:
    preds = torch.tensor([[[1.0, 2, 3, 4, -1, 0.5, 0], [5, 6, 7, 8, 3, 1, -2]]], dtype=dtype)
    target = torch.tensor([[[1.0, 2, 3, 5, 2], [0, 0, 0, 0, -1]]])
    (found,), (true,) = TASK.decode(Examples(preds, target), "boxes")
    np.testing.assert_array_equal(found["boxes"], [[1, 2, 3, 4], [5, 6, 7, 8]])
    np.testing.assert_array_equal(found["labels"], [1, 0])
    np.testing.assert_allclose(found["scores"], [1 / (1 + math.exp(-0.5)), 1 / (1 + math.exp(-3))], rtol=1e-12)
    np.testing.assert_array_equal(true["boxes"], [[1, 2, 3, 5]])
    np.testing.assert_array_equal(true["labels"], [2])


def test_high_scores_keep_their_order() -> None:
    preds = torch.tensor([[[0.0, 0, 1, 1, logit] for logit in (20.0, 21, 30)]])
    (found,), _ = TASK.decode(Examples(preds, torch.full((1, 1, 5), -1.0)), "boxes")
    assert found["scores"][0] < found["scores"][1] < found["scores"][2]


@pytest.mark.parametrize("absent", [-1e4, -math.inf])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_queries_that_are_not_there_are_left_out(absent: float, dtype: torch.dtype) -> None:
    preds = torch.tensor([[[1.0, 2, 3, 4, absent, 0.5], [absent] * 6, [5, 6, 7, 8, -30, -40]]], dtype=dtype)
    (found,), _ = TASK.decode(Examples(preds, torch.full((1, 1, 5), -1.0)), "boxes")
    np.testing.assert_array_equal(found["boxes"], [[1, 2, 3, 4], [5, 6, 7, 8]])
    np.testing.assert_array_equal(found["labels"], [1, 0])


def test_points_are_images_or_lists_of_images() -> None:
    examples = generated(0.5, 3, 4)
    assert [len(preds) for preds, _ in TASK.points(examples, "boxes", 4)] == [4, 4, 4]
    assert len(TASK.points(examples, "boxes", None)) == 12


def by_hand(preds: list[list[float]], pairs: dict[int, list[float]], n_true: int) -> float:
    """The regular loss with one class, the query of each true box being told."""
    total = 0.0
    for number, (*box, logit) in enumerate(preds):
        p = 1 / (1 + math.exp(-logit))
        if number not in pairs:
            total += 0.75 * p**2 * -math.log(1 - p)
            continue
        true = pairs[number]
        giou = overlaps(torch.tensor([[box]]), torch.tensor([[true]]))[1]
        size = [true[2] - true[0], true[3] - true[1]] * 2
        distance = sum(abs(a - b) / s for a, b, s in zip(box, true, size, strict=True)) / 4
        total += 0.25 * (1 - p) ** 2 * -math.log(p) + 2 * (1 - float(giou)) + distance
    return total / n_true


def test_the_regular_loss_is_focal_loss_overlap_and_distance_of_the_best_pairs() -> None:
    preds = [[0.0, 0, 10, 8, 1.0], [0, 0, 10, 9, -2.0], [30, 0, 40, 10, 0.3]]
    first, second = [0.0, 0, 10, 10], [28.0, 0, 40, 12]
    found = TASK.regular_loss(one_image(preds, [[*second, 0], [*first, 0], [0, 0, 5, 5, -1]]))
    paired = [by_hand(preds, {i: first, 2: second}, 2) for i in (0, 1)]
    assert float(found) == pytest.approx(paired[0], rel=1e-5)  # the surer query, though the other one fits better
    assert paired[0] != pytest.approx(paired[1], rel=1e-2)


def test_a_true_box_without_a_query_costs_as_much_as_the_worst_overlap() -> None:
    preds = [[0.0, 0, 10, 8, 1.0], [0, 0, 0, 0, -1e4]]
    found = TASK.regular_loss(one_image(preds, [[0.0, 0, 10, 10, 0], [50, 50, 60, 60, 0]]))
    assert float(found) == pytest.approx((by_hand(preds[:1], {0: [0.0, 0, 10, 10]}, 1) + 4) / 2, rel=1e-5)


def test_an_image_without_true_boxes_costs_what_is_found_in_it() -> None:
    preds = [[0.0, 0, 10, 8, 1.0], [0, 0, 10, 9, -2.0]]
    found = TASK.regular_loss(one_image(preds, [[0, 0, 0, 0, -1]]))
    assert float(found) == pytest.approx(by_hand(preds, {}, 1), rel=1e-5)


def test_the_regular_loss_leads_boxes_and_logits_to_the_target() -> None:
    target = torch.tensor([[[10.0, 10, 30, 40, 1], [50, 20, 70, 60, 0]]])
    preds = torch.tensor([[[0.0, 30, 30, 60, 0, 0], [40, 0, 60, 30, 0, 0], [0, 0, 9, 9, 0, 0]]])
    for _ in range(400):
        preds.requires_grad_(True)
        (gradient,) = torch.autograd.grad(TASK.regular_loss(Examples(preds, target)).sum(), preds)
        preds = (preds - gradient.sign() * torch.tensor([0.2, 0.2, 0.2, 0.2, 0.05, 0.05])).detach()
    assert (overlaps(preds[..., :4], target[..., :4])[0].amax(1) > 0.9).all()
    assert preds[0, :, 4:].gt(0).tolist() == [[False, True], [True, False], [False, False]]


def test_overlaps_by_hand() -> None:
    a = torch.tensor([[[0.0, 0, 4, 4], [4, 4, 0, 0], [1, 1, 1, 1]]])
    b = torch.tensor([[[2.0, 2, 6, 6], [0, 0, 4, 4], [8, 0, 12, 4]]])
    iou, giou = overlaps(a, b)
    torch.testing.assert_close(iou[0, 0], torch.tensor([4 / 28, 1.0, 0.0]))
    torch.testing.assert_close(giou[0, 0], torch.tensor([4 / 28 - 8 / 36, 1.0, -16 / 48]))
    assert (iou[0, 1:] == 0).all()
    assert (giou[0, 1:] <= 0).all()


def test_the_unit_of_boxes_is_a_fifth_of_the_side_of_true_boxes() -> None:
    target = torch.full((2, 3, 5), -1.0)
    target[0, 0] = torch.tensor([0.0, 0, 10, 40, 0])
    target[0, 2] = torch.tensor([0.0, 0, 20, 20, 1])
    unit: Any = TASK.unit(Examples(torch.zeros(2, 6, 7), target))
    torch.testing.assert_close(unit[0, 0], torch.tensor([4.0, 4, 4, 4, 1, 1, 1]))
    assert (unit > 0).all()
    assert unit.isfinite().all()


def test_boxes_moved_by_a_unit_overlap_still_but_not_as_well() -> None:
    examples = generated(0.0, 8)
    unit: Any = TASK.unit(examples)
    true = examples.target[..., :4]
    away = torch.randn(true.shape, generator=torch.Generator().manual_seed(0))
    moved = true + unit[..., :4] * away / away.norm(dim=-1, keepdim=True)
    iou = overlaps(moved, true)[0].diagonal(dim1=1, dim2=2)[examples.target[..., 4] >= 0]
    assert 0.6 < iou.median() < 0.95


def arrays(**changed: Any) -> dict[str, np.ndarray]:
    target = np.array([[[0, 0, 4, 4, 1], [0, 0, 0, 0, -1]]] * 3, np.float32)
    return {"preds": np.zeros((3, 6, 7), np.float32), "target": target, **changed}


def target_with(*row: float) -> np.ndarray:
    target: np.ndarray = arrays()["target"]
    target[2, 1] = row
    return target


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int16])
def test_right_arrays_pass_the_check(dtype: Any) -> None:
    TASK.check(arrays(target=target_with(0, 0, 4, 4, 2).astype(dtype)))
    TASK.check(arrays(target=target_with(9, 9, 0, 0, -1).astype(dtype)))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"preds": np.zeros((3, 6))}, "preds must have shape (n, n_queries, 4 + n_classes), got (3, 6)"),
        ({"preds": np.zeros((3, 6, 7), int)}, "preds must have a dtype of kind floating, got int64"),
        ({"preds": np.zeros((3, 6, 4))}, "preds has 4 columns; expected 4 of the box and a logit for each class"),
        ({"target": np.zeros((3, 5))}, "target must have shape (n, n_boxes, 5), got (3, 5)"),
        ({"target": np.zeros((3, 2, 6))}, "target must have shape (n, n_boxes, 5), box and class, got (3, 2, 6)"),
        (
            {"target": target_with(0, 0, 4, 4, 3)},
            "target holds class 3 in row 2, box 1; expected 0 to 2, or -1 for no box",
        ),
        ({"target": target_with(0, 0, 4, 4, 0.5)}, "target holds class 0.5 in row 2, box 1; expected 0 to 2"),
        (
            {"target": target_with(30, 20, 4, 9, 1)},
            "target holds the box [30.0, 20.0, 4.0, 9.0] in row 2, box 1; expected x1, y1, x2, y2 with x1 <= x2",
        ),
    ],
)
def test_each_wrong_array_has_its_message(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(OutputsError, match=re.escape(message)):
        TASK.check(arrays(**changed))


def permuted(tensor: Tensor, axis: int, seed: int = 0) -> Tensor:
    return tensor.index_select(axis, torch.randperm(tensor.shape[axis], generator=torch.Generator().manual_seed(seed)))


def test_the_order_of_queries_and_of_true_boxes_does_not_matter_to_the_regular_loss() -> None:
    examples = generated(0.4)
    turned = Examples(permuted(examples.preds, 1), permuted(examples.target, 1))
    torch.testing.assert_close(TASK.regular_loss(turned), TASK.regular_loss(examples), atol=1e-4, rtol=1e-4)
