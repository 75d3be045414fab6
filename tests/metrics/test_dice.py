from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchmetrics.functional.segmentation import dice_score

from autosurrogate.metrics.dice import dice
from autosurrogate.registry.lookup import find

PIXELS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60)


def maps(pixels: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    """One image of one row."""
    preds, target = np.array(pixels, dtype=np.int64).T
    return preds[None], target[None]


def by_torchmetrics(preds: np.ndarray, target: np.ndarray, background: bool = True, average: str = "macro") -> float:
    images = (torch.from_numpy(preds)[None], torch.from_numpy(target)[None])
    found = dice_score(*images, num_classes=5, include_background=background, average=average, input_format="index")  # type: ignore[arg-type]
    return float(found[0])


@given(PIXELS)
def test_it_is_torchmetrics_s(pixels: list[tuple[int, int]]) -> None:
    assert dice(*maps(pixels)) == pytest.approx(by_torchmetrics(*maps(pixels)), abs=1e-6)


@given(PIXELS)
def test_without_the_background_it_is_torchmetrics_s(pixels: list[tuple[int, int]]) -> None:
    found, expected = dice(*maps(pixels), background=False), by_torchmetrics(*maps(pixels), background=False)
    assert found == pytest.approx(expected, abs=1e-6, nan_ok=True)


def test_the_comparison_tells_macro_from_weighted() -> None:
    preds, target = np.array([[0, 0, 0, 1]]), np.array([[0, 0, 0, 0]])
    assert dice(preds, target) != pytest.approx(by_torchmetrics(preds, target, average="weighted"), abs=1e-3)


def test_by_hand() -> None:
    preds, target = np.array([[0, 0], [1, 2]]), np.array([[0, 1], [1, 1]])
    assert dice(preds, target) == pytest.approx((2 / 3 + 2 / 4 + 0) / 3)  # class 2 is only predicted
    assert dice(preds, target, background=False) == pytest.approx((2 / 4 + 0) / 2)


def test_pixels_without_a_target_do_not_count() -> None:
    preds, target = np.array([[0, 0, 1, 2, 1]]), np.array([[0, 1, 1, -100, -100]])
    assert dice(preds, target) == dice(preds[:, :3], target[:, :3])


def test_without_a_pixel_that_counts_there_is_none() -> None:
    assert math.isnan(dice(np.zeros((1, 2), int), np.full((1, 2), -100)))
    assert math.isnan(dice(np.zeros((1, 2), int), np.zeros((1, 2), int), background=False))


def test_its_declaration() -> None:
    found = find("dice")
    assert (found.task, found.level, found.view, found.set_size) == ("segmentation", "sample", "labels", 1)
    assert found.higher_is_better
    assert (found.spec, found.source) == ("dice", "scikit-learn")
