from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchmetrics.functional.classification import binary_average_precision

from autosurrogate.metrics.average_precision import average_precision
from autosurrogate.registry.lookup import find

ITEMS = st.lists(st.tuples(st.integers(0, 10), st.integers(0, 1)), max_size=60).map(
    lambda items: np.array([(5, 1), *items]).T
)


@given(ITEMS)
def test_it_is_the_mean_precision_at_the_positives(items: np.ndarray) -> None:
    preds, target = items
    precisions = [target[preds >= p].mean() for p in preds[target == 1]]
    assert average_precision(preds, target) == pytest.approx(float(np.mean(precisions)), abs=1e-12)


@given(ITEMS)
def test_it_is_torchmetrics_s(items: np.ndarray) -> None:
    preds, target = items[0] / 10, items[1]
    theirs = float(binary_average_precision(torch.tensor(preds), torch.tensor(target)))
    assert average_precision(preds, target) == pytest.approx(theirs, abs=1e-6)


def test_by_hand() -> None:
    assert average_precision(np.array([0.9, 0.8, 0.7, 0.6]), np.array([0, 1, 0, 1])) == 0.5
    assert average_precision(np.array([0.9, 0.8, 0.7, 0.6]), np.array([1, 1, 0, 0])) == 1.0
    assert average_precision(np.array([0.5, 0.5, 0.5, 0.5]), np.array([1, 0, 0, 0])) == 0.25


@pytest.mark.parametrize("n", [0, 3])
def test_a_set_without_positives_has_none(n: int) -> None:
    assert math.isnan(average_precision(np.arange(n) / 3, np.zeros(n, dtype=np.int64)))


def test_a_set_of_positives_has_1() -> None:
    assert average_precision(np.array([0.1, 0.3]), np.array([1, 1])) == 1.0


def test_its_declaration() -> None:
    found = find("average_precision")
    assert (found.task, found.level, found.view, found.set_size) == ("scores", "set", "binary", 128)
    assert found.higher_is_better
    assert (found.spec, found.source) == ("average_precision", "scikit-learn")
