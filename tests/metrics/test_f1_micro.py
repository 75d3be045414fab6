from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchmetrics.functional.classification import multilabel_f1_score

from autosurrogate.metrics.f1 import f1
from autosurrogate.metrics.f1_micro import f1_micro
from autosurrogate.registry.lookup import find

SEEDS = st.tuples(st.integers(0, 2**32 - 1), st.integers(1, 20), st.integers(1, 6))


def arrays(drawn: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    seed, n, n_labels = drawn
    random = np.random.default_rng(seed)
    return random.random((n, n_labels)), (random.random((n, n_labels)) < 0.2).astype(np.int64)


@given(SEEDS, st.sampled_from([0.3, 0.5, 0.9]))
def test_it_is_the_f1_of_all_entries_as_if_of_one_label(drawn: tuple[int, int, int], threshold: float) -> None:
    preds, target = arrays(drawn)
    found = f1_micro(preds, target, threshold=threshold)
    assert found == pytest.approx(f1(preds.ravel(), target.ravel(), threshold=threshold), nan_ok=True)


@given(SEEDS)
def test_it_is_torchmetrics_s(drawn: tuple[int, int, int]) -> None:
    preds, target = arrays(drawn)
    found = f1_micro(preds, target)
    n_labels = max(2, preds.shape[1])  # which torchmetrics needs: one more that is never there nor called
    more = [torch.tensor(np.pad(a, ((0, 0), (0, n_labels - a.shape[1])))) for a in (preds, target)]
    theirs = float(multilabel_f1_score(*more, num_labels=n_labels, average="micro"))
    assert found == pytest.approx(theirs, abs=1e-6) or math.isnan(found)


def test_it_is_no_mean_of_labels() -> None:
    preds, target = np.array([[0.9, 0.1], [0.9, 0.1], [0.9, 0.1]]), np.array([[1, 0], [1, 0], [1, 1]])
    assert f1_micro(preds, target) == pytest.approx(6 / 7)


def test_where_nothing_is_there_nor_called_it_is_nan() -> None:
    assert math.isnan(f1_micro(np.zeros((2, 3)), np.zeros((2, 3), int)))
    assert math.isnan(f1_micro(np.empty((0, 3)), np.empty((0, 3), int)))
    assert f1_micro(np.ones((2, 3)), np.zeros((2, 3), int)) == 0.0


def test_its_declaration() -> None:
    found = find("f1_micro")
    assert (found.task, found.level, found.view, found.set_size) == ("scores", "set", "multilabel", 128)
    assert found.higher_is_better
    assert (found.spec, found.source) == ("f1_micro", "scikit-learn")
