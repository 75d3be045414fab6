from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchmetrics.functional.retrieval import retrieval_precision

from autosurrogate.metrics.precision_at_k import precision_at_k
from autosurrogate.registry.lookup import find

TARGETS = st.lists(st.integers(0, 1), min_size=1, max_size=40)


@given(TARGETS, st.integers(1, 50), st.integers(0, 2**32 - 1))
def test_without_ties_it_is_torchmetrics_s(target: list[int], k: int, seed: int) -> None:
    preds = np.random.default_rng(seed).permutation(len(target)) / 100 + 0.01
    theirs = retrieval_precision(torch.tensor(preds), torch.tensor(target), top_k=k, adaptive_k=True)
    assert precision_at_k(preds, np.array(target), k=k) == pytest.approx(float(theirs), abs=1e-6)


def test_with_ties_it_is_the_mean_over_all_their_orders() -> None:
    preds, target = np.array([0.2, 0.5, 0.5, 0.9, 0.5, 0.1, 0.5]), np.array([1, 1, 0, 0, 0, 1, 1])
    random, found = np.random.default_rng(0), []
    for _ in range(4000):
        first = np.lexsort((random.random(len(preds)), -preds))[:3]
        found.append(target[first].mean())
    assert precision_at_k(preds, target, k=3) == pytest.approx(1 / 3)
    assert np.mean(found) == pytest.approx(1 / 3, abs=0.02)


def test_by_hand() -> None:
    preds, target = np.array([0.9, 0.8, 0.7, 0.6]), np.array([1, 0, 1, 1])
    assert [precision_at_k(preds, target, k=k) for k in (1, 2, 4)] == [1.0, 0.5, 0.75]


def test_ten_by_default_and_all_of_fewer() -> None:
    preds = np.linspace(1, 0, 20)
    assert precision_at_k(preds, np.array(5 * [1] + 15 * [0])) == 0.5
    assert precision_at_k(preds[:4], np.array([1, 1, 1, 0])) == 0.75


def test_a_set_without_positives_has_0_and_one_without_examples_none() -> None:
    assert precision_at_k(np.array([0.1, 0.2]), np.array([0, 0])) == 0.0
    assert math.isnan(precision_at_k(np.empty(0), np.empty(0, int)))


def test_its_declaration() -> None:
    found = find("precision_at_k")
    assert (found.task, found.level, found.view, found.set_size) == ("scores", "set", "binary", 128)
    assert found.higher_is_better
    assert (found.spec, found.source) == ("precision_at_k", "numpy")
