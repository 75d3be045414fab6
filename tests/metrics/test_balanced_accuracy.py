from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autosurrogate.metrics.balanced_accuracy import balanced_accuracy
from autosurrogate.registry.lookup import find

ITEMS = st.lists(st.tuples(st.integers(0, 10), st.integers(0, 1)), max_size=60).map(
    lambda items: np.array([(3, 0), (7, 1), *items]).T
)


@given(ITEMS, st.sampled_from([0.1, 0.5, 0.9]))
def test_it_is_the_mean_share_of_each_class_that_is_called_right(items: np.ndarray, threshold: float) -> None:
    preds, target = items[0] / 10, items[1]
    shares = [(preds[target == 1] >= threshold).mean(), (preds[target == 0] < threshold).mean()]
    assert balanced_accuracy(preds, target, threshold=threshold) == pytest.approx(float(np.mean(shares)), abs=1e-12)


def test_calling_all_the_same_is_a_half_however_rare_the_others() -> None:
    target = np.array([1] + 99 * [0])
    assert balanced_accuracy(np.zeros(100), target) == 0.5
    assert balanced_accuracy(np.ones(100), target) == 0.5


@pytest.mark.parametrize("target", [[0, 0, 0], [1, 1, 1], []])
def test_a_set_of_one_class_has_none(target: list[int]) -> None:
    assert math.isnan(balanced_accuracy(np.arange(len(target)) / 3, np.array(target, dtype=np.int64)))


def test_its_declaration() -> None:
    found = find("balanced_accuracy")
    assert (found.task, found.level, found.view, found.set_size) == ("scores", "set", "binary", 128)
    assert found.higher_is_better
    assert (found.spec, found.source) == ("balanced_accuracy", "scikit-learn")
