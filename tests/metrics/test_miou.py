from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchmetrics.functional.classification import multiclass_jaccard_index

from autosurrogate.metrics.miou import miou
from autosurrogate.registry.lookup import find

PIXELS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60)


def maps(pixels: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    """A set of one image of one row."""
    preds, target = np.array(pixels, dtype=np.int64).T
    return preds[None, None], target[None, None]


def check_against_torchmetrics(
    score: Callable[[np.ndarray, np.ndarray], float], preds: np.ndarray, target: np.ndarray
) -> None:
    expected = multiclass_jaccard_index(
        torch.from_numpy(preds), torch.from_numpy(target), num_classes=5, ignore_index=-100
    )
    assert score(preds, target) == pytest.approx(float(expected), abs=1e-6)


@given(PIXELS)
def test_it_is_torchmetrics_s(pixels: list[tuple[int, int]]) -> None:
    check_against_torchmetrics(miou, *maps(pixels))


@pytest.mark.parametrize("seed", range(5))
def test_it_is_torchmetrics_s_with_pixels_left_out(seed: int) -> None:
    rng = np.random.default_rng(seed)
    preds, target = rng.integers(0, 5, (3, 6, 7)), rng.integers(0, 5, (3, 6, 7))
    target[rng.random(target.shape) < 0.3] = -100
    check_against_torchmetrics(miou, preds, target)


def test_the_check_catches_a_mean_over_images() -> None:
    def by_image(preds: np.ndarray, target: np.ndarray) -> float:
        return float(np.mean([miou(preds[i : i + 1], target[i : i + 1]) for i in range(len(preds))]))

    preds, target = np.array([[[0, 0, 0, 1]], [[1, 1, 1, 1]]]), np.array([[[0, 0, 0, 0]], [[1, 1, 0, 0]]])
    with pytest.raises(AssertionError):
        check_against_torchmetrics(by_image, preds, target)


def test_by_hand() -> None:
    preds, target = np.array([[[0, 0], [1, 2]]]), np.array([[[0, 1], [1, 1]]])
    assert miou(preds, target) == pytest.approx((1 / 2 + 1 / 3 + 0) / 3)  # class 2 is only predicted
    assert miou(preds, target, background=False) == pytest.approx((1 / 3 + 0) / 2)


def test_a_class_that_occurs_in_neither_does_not_count() -> None:
    assert miou(np.array([[[0, 7]]]), np.array([[[0, 7]]])) == 1
    assert miou(np.array([[[0, 7, 3]]]), np.array([[[0, 7, -100]]])) == 1  # nor one predicted where nothing counts


def test_maps_may_be_of_several_sizes() -> None:
    preds = [np.array([[0, 1]]), np.array([[1], [1], [0]])]
    target = [np.array([[0, 0]]), np.array([[1], [1], [-100]])]
    assert miou(preds, target) == pytest.approx((1 / 2 + 2 / 3) / 2)  # type: ignore[arg-type]


@given(PIXELS, st.permutations(range(4)))
def test_it_does_not_depend_on_what_the_classes_are_called(pixels: list[tuple[int, int]], renamed: list[int]) -> None:
    preds, target = maps(pixels)
    assert miou(np.array(renamed)[preds], np.array(renamed)[target]) == pytest.approx(miou(preds, target))


def test_without_a_pixel_that_counts_there_is_none() -> None:
    empty = np.empty((0, 2, 2), dtype=np.int64)
    assert math.isnan(miou(empty, empty))
    assert math.isnan(miou(np.zeros((1, 1, 2), int), np.full((1, 1, 2), -100)))
    assert math.isnan(miou(np.zeros((1, 1, 2), int), np.zeros((1, 1, 2), int), background=False))


def test_its_declaration() -> None:
    found = find("miou")
    assert (found.task, found.level, found.view, found.set_size) == ("segmentation", "set", "labels", 16)
    assert found.higher_is_better
    assert (found.spec, found.source) == ("miou", "scikit-learn")
