from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchmetrics.functional.classification import binary_f1_score

from autosurrogate.metrics.f1 import f1
from autosurrogate.registry.lookup import find

ITEMS = st.lists(st.tuples(st.integers(0, 10), st.integers(0, 1)), min_size=1, max_size=60)


def arrays(items: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    scores, target = np.array(items).T
    return scores / 10, target


def counted(preds: np.ndarray, target: np.ndarray, threshold: float) -> float:
    hits = sum(p >= threshold and t == 1 for p, t in zip(preds, target, strict=True))
    either = sum(preds >= threshold) + sum(target == 1)
    return 2 * hits / either if either else math.nan


@given(ITEMS, st.sampled_from([0.1, 0.25, 0.5, 0.9]))
def test_it_is_twice_the_hits_by_what_is_called_and_what_is_there(
    items: list[tuple[int, int]], threshold: float
) -> None:
    preds, target = arrays(items)
    assert f1(preds, target, threshold=threshold) == pytest.approx(counted(preds, target, threshold), nan_ok=True)


@given(ITEMS)
def test_it_is_torchmetrics_s(items: list[tuple[int, int]]) -> None:
    preds, target = arrays(items)
    theirs = float(binary_f1_score(torch.tensor(preds), torch.tensor(target), threshold=0.45))
    ours = f1(preds, target, threshold=0.45)
    assert ours == pytest.approx(theirs, abs=1e-6) or math.isnan(ours)


def test_the_threshold_itself_is_called_positive() -> None:
    assert f1(np.array([0.5]), np.array([1])) == 1.0
    assert f1(np.array([0.5]), np.array([1]), threshold=0.51) == 0.0


def test_without_positives_it_is_0_where_any_are_called_and_nan_where_none_are() -> None:
    assert f1(np.array([0.9, 0.1]), np.array([0, 0])) == 0.0
    assert math.isnan(f1(np.array([0.2, 0.1]), np.array([0, 0])))
    assert math.isnan(f1(np.empty(0), np.empty(0, int)))
    assert f1(np.array([0.2, 0.1]), np.array([0, 1])) == 0.0


def test_its_declaration() -> None:
    found = find("f1")
    assert (found.task, found.level, found.view, found.set_size) == ("scores", "set", "binary", 128)
    assert found.higher_is_better
    assert (found.spec, found.source) == ("f1", "scikit-learn")
