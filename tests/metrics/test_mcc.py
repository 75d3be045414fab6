from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autosurrogate.metrics.mcc import mcc
from autosurrogate.registry.lookup import find

ITEMS = st.lists(st.tuples(st.integers(0, 10), st.integers(0, 1)), max_size=60).map(
    lambda items: np.array([(3, 0), (7, 1), *items]).T
)


@given(ITEMS, st.sampled_from([0.1, 0.5, 0.9]))
def test_it_is_pearson_s_correlation_of_two_indicators(items: np.ndarray, threshold: float) -> None:
    preds, target = items[0] / 10, items[1]
    called = preds >= threshold
    alike = called.min() == called.max()
    expected = 0.0 if alike else float(np.corrcoef(called, target)[0, 1])
    assert mcc(preds, target, threshold=threshold) == pytest.approx(expected, abs=1e-12)


def test_its_ends() -> None:
    preds, target = np.array([0.9, 0.8, 0.2, 0.1]), np.array([1, 1, 0, 0])
    assert (mcc(preds, target), mcc(1 - preds, target), mcc(preds, target, threshold=0.0)) == (1.0, -1.0, 0.0)


@pytest.mark.parametrize("target", [[0, 0, 0], [1, 1, 1], []])
def test_a_set_of_one_class_has_none(target: list[int]) -> None:
    assert math.isnan(mcc(np.arange(len(target)) / 3, np.array(target, dtype=np.int64)))


def test_its_declaration() -> None:
    found = find("mcc")
    assert (found.task, found.level, found.view, found.set_size) == ("scores", "set", "binary", 128)
    assert found.higher_is_better
    assert (found.spec, found.source) == ("mcc", "scikit-learn")
