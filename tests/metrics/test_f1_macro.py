from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchmetrics.functional.classification import multilabel_f1_score

from autosurrogate.metrics.f1 import f1
from autosurrogate.metrics.f1_macro import f1_macro
from autosurrogate.registry.lookup import find

SEEDS = st.tuples(st.integers(0, 2**32 - 1), st.integers(1, 20), st.integers(1, 6))


def arrays(drawn: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    seed, n, n_labels = drawn
    random = np.random.default_rng(seed)
    return random.random((n, n_labels)), (random.random((n, n_labels)) < 0.2).astype(np.int64)


@given(SEEDS, st.sampled_from([0.3, 0.5, 0.9]))
def test_it_is_the_mean_over_the_labels_that_have_a_value(drawn: tuple[int, int, int], threshold: float) -> None:
    preds, target = arrays(drawn)
    each = [f1(p, t, threshold=threshold) for p, t in zip(preds.T, target.T, strict=True)]
    defined = [value for value in each if not math.isnan(value)]
    expected = sum(defined) / len(defined) if defined else math.nan
    assert f1_macro(preds, target, threshold=threshold) == pytest.approx(expected, nan_ok=True)


@given(st.integers(0, 2**32 - 1))
def test_where_every_label_has_positives_it_is_torchmetrics_s(seed: int) -> None:
    preds, target = arrays((seed, 20, 4))
    target[0] = 1
    theirs = float(multilabel_f1_score(torch.tensor(preds), torch.tensor(target), num_labels=4, average="macro"))
    assert f1_macro(preds, target) == pytest.approx(theirs, abs=1e-6)


def test_a_label_without_positives_counts_0_where_it_is_called() -> None:
    target = np.array([[1, 0], [1, 0]])
    assert f1_macro(np.array([[0.9, 0.1], [0.9, 0.1]]), target) == 1.0
    assert f1_macro(np.array([[0.9, 0.1], [0.9, 0.7]]), target) == 0.5


def test_where_nothing_is_there_nor_called_it_is_nan() -> None:
    assert math.isnan(f1_macro(np.zeros((2, 3)), np.zeros((2, 3), int)))
    assert math.isnan(f1_macro(np.empty((0, 3)), np.empty((0, 3), int)))
    assert f1_macro(np.ones((2, 3)), np.zeros((2, 3), int)) == 0.0


def test_its_declaration() -> None:
    found = find("f1_macro")
    assert (found.task, found.level, found.view, found.set_size) == ("scores", "set", "multilabel", 128)
    assert found.higher_is_better
    assert (found.spec, found.source) == ("f1_macro", "scikit-learn")
