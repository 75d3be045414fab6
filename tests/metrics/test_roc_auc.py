from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from autosurrogate.metrics.roc_auc import roc_auc
from autosurrogate.registry.lookup import find

ITEMS = st.lists(st.tuples(st.integers(0, 10), st.integers(0, 1)), max_size=60).map(
    lambda items: np.array([(3, 0), (5, 1), *items]).T
)


@given(ITEMS)
def test_it_is_the_share_of_pairs_in_order_ties_by_half(items: np.ndarray) -> None:
    preds, target = items
    pairs = [(p > n) + (p == n) / 2 for p in preds[target == 1] for n in preds[target == 0]]
    assert roc_auc(preds, target) == pytest.approx(float(np.mean(pairs)), abs=1e-12)


@given(ITEMS)
def test_it_is_mann_and_whitney_s_u(items: np.ndarray) -> None:
    preds, target = items
    positives, negatives = preds[target == 1], preds[target == 0]
    u = scipy.stats.mannwhitneyu(positives, negatives).statistic
    assert roc_auc(preds, target) == pytest.approx(u / (len(positives) * len(negatives)), abs=1e-12)


@given(ITEMS)
@pytest.mark.slow
def test_only_the_order_counts(items: np.ndarray) -> None:
    preds, target = items
    assert roc_auc(np.exp(preds / 3) - 7, target) == pytest.approx(roc_auc(preds, target), abs=1e-12)
    assert roc_auc(-preds, target) == pytest.approx(1 - roc_auc(preds, target), abs=1e-12)


@pytest.mark.parametrize("target", [[0, 0, 0], [1, 1, 1], []])
def test_a_set_of_one_class_has_none(target: list[int]) -> None:
    assert math.isnan(roc_auc(np.arange(len(target)) / 3, np.array(target, dtype=np.int64)))


def test_its_declaration() -> None:
    found = find("roc_auc")
    assert (found.task, found.level, found.view, found.set_size) == ("scores", "set", "binary", 128)
    assert found.higher_is_better
    assert (found.spec, found.source) == ("roc_auc", "scikit-learn")
