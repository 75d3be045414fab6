from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torchmetrics.functional.segmentation.utils import mask_edges

from autosurrogate.metrics.boundary_f1 import boundary_f1
from autosurrogate.registry.lookup import find


def edge(labels: np.ndarray, c: int) -> list[tuple[int, int]]:
    """Pixels of class c beside a pixel of another one; -100 is no pixel."""
    height, width = labels.shape
    return [
        (y, x)
        for y in range(height)
        for x in range(width)
        if labels[y, x] == c
        and any(
            0 <= v < height and 0 <= u < width and labels[v, u] not in (c, -100)
            for v, u in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1))
        )
    ]


def share_near(own: list[tuple[int, int]], other: list[tuple[int, int]], tolerance: float) -> float:
    near = [any(math.hypot(y - v, x - u) <= tolerance for v, u in other) for y, x in own]
    return sum(near) / len(near) if near else 0.0


def by_definition(preds: np.ndarray, target: np.ndarray, tolerance: float) -> float:
    """The formula written out over lists of pixels."""
    preds = np.where(target == -100, -100, preds)
    scores = []
    for c in sorted({*preds.flatten().tolist(), *target.flatten().tolist()} - {-100}):
        own, right = edge(preds, c), edge(target, c)
        if own or right:
            precision, recall = share_near(own, right, tolerance), share_near(right, own, tolerance)
            scores.append(2 * precision * recall / (precision + recall) if precision + recall else 0.0)
    return sum(scores) / len(scores) if scores else math.nan


def images(seed: int, n_classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    target = np.kron(rng.integers(0, n_classes, (3, 4)), np.ones((4, 3), int))
    preds = np.roll(target, rng.integers(-2, 3, 2), (0, 1))
    return np.where(rng.random(target.shape) < 0.05, rng.integers(0, n_classes, target.shape), preds), target


@pytest.mark.parametrize("tolerance", [1.0, 1.5, 2.0, 3.0])
@pytest.mark.parametrize("seed", range(6))
def test_it_is_its_definition(seed: int, tolerance: float) -> None:
    preds, target = images(seed)
    expected = by_definition(preds, target, tolerance)
    assert 0 < expected < 1
    assert boundary_f1(preds, target, tolerance=tolerance) == pytest.approx(expected, abs=1e-12)
    target[2:5, 3:9] = -100
    assert boundary_f1(preds, target, tolerance=tolerance) == pytest.approx(
        by_definition(preds, target, tolerance), abs=1e-12
    )


def test_the_comparison_tells_tolerances_apart() -> None:
    preds, target = images(0)
    assert boundary_f1(preds, target) != pytest.approx(by_definition(preds, target, 2.0), abs=1e-3)


@pytest.mark.parametrize("seed", range(4))
def test_its_edges_are_those_of_torchmetrics_inside_the_image(seed: int) -> None:
    # There the border of the image makes an edge: a ring of other pixels takes it away from both.
    target = np.pad(images(seed, 2)[1], 1)
    found, _ = mask_edges(torch.from_numpy(target == 1), torch.from_numpy(target == 1), crop=False)
    assert list(zip(*(axis.tolist() for axis in found.nonzero(as_tuple=True)), strict=True)) == edge(target, 1)


def test_by_hand() -> None:
    target = np.zeros((9, 9), int)
    target[3:6, 3:6] = 1
    moved = np.roll(target, 3, 1)
    assert boundary_f1(target, target) == 1
    assert boundary_f1(np.roll(target, 1, 1), target) == 1
    # Moved to the border, a square has 7 and not 8 pixels of a boundary, and 9 and not 12 around it.
    assert boundary_f1(moved, target) == pytest.approx((2 * 3 / (8 + 7) + 2 * 5 / (12 + 9)) / 2)
    assert boundary_f1(moved, target, tolerance=3) == 1
    assert boundary_f1(moved, target, tolerance=0.2) == 1  # 0.2 of a diagonal of 12.7, rounded up, are 3 pixels
    assert boundary_f1(np.zeros_like(target), target) == 0


def test_a_class_without_a_boundary_in_either_map_does_not_count() -> None:
    target = np.array([[0, 0, -100, 1, 2, 2, 2]])  # nothing tells 1 from the pixel that is left out
    assert boundary_f1(target, target) == 1
    assert boundary_f1(np.array([[0, 0, 0, 1, 2, 2, 2]]), target) == 1
    assert boundary_f1(np.array([[0, 0, 0, 1, 1, 1, 1]]), target) == 0


def test_without_any_boundary_there_is_none() -> None:
    flat = np.zeros((3, 3), int)
    assert math.isnan(boundary_f1(flat, flat))
    assert math.isnan(boundary_f1(flat, flat + 1))
    assert math.isnan(boundary_f1(flat, np.full((3, 3), -100)))


def test_its_declaration() -> None:
    found = find("boundary_f1")
    assert (found.task, found.level, found.view, found.set_size) == ("segmentation", "sample", "labels", 1)
    assert found.higher_is_better
    assert (found.spec, found.source) == ("boundary_f1", "scipy")
    assert find("boundary_f1?tolerance=2").function(*images(0)) == boundary_f1(*images(0), tolerance=2.0)
