from __future__ import annotations

import math
from itertools import permutations

import numpy as np
import pytest
import sklearn.metrics
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchmetrics.functional.retrieval import retrieval_normalized_dcg

from autosurrogate.metrics.ndcg import ndcg
from autosurrogate.registry.lookup import find

GRADES = st.lists(st.integers(0, 4), min_size=2, max_size=25).filter(any)


def by_hand(order: list[int], k: int, exponential: bool) -> float:
    """NDCG of grades in the order of their ranks."""

    def dcg(grades: list[int]) -> float:
        gains = [2**r - 1 if exponential else r for r in grades[:k]]
        return sum(gain / math.log2(place + 2) for place, gain in enumerate(gains))

    return dcg(order) / dcg(sorted(order, reverse=True))


@given(GRADES, st.integers(1, 30), st.booleans(), st.randoms(use_true_random=False))
def test_it_is_its_formula(grades: list[int], k: int, exponential: bool, random: object) -> None:
    order = list(grades)
    random.shuffle(order)  # type: ignore[attr-defined]
    scores = np.linspace(1, 0, len(order))
    found = ndcg(scores, np.array(order), k=k, exponential=exponential)
    assert found == pytest.approx(by_hand(order, k, exponential), rel=1e-12)


@given(GRADES, st.integers(1, 30), st.data())
def test_with_ties_it_is_scikit_learn_s_and_torchmetrics_s(grades: list[int], k: int, data: st.DataObject) -> None:
    scores = data.draw(st.lists(st.sampled_from([0.0, 0.25, 1.0]), min_size=len(grades), max_size=len(grades)))
    found = ndcg(np.array(scores), np.array(grades), k=k)
    assert found == sklearn.metrics.ndcg_score([grades], [scores], k=k)
    k = min(k, len(grades))
    theirs = retrieval_normalized_dcg(torch.tensor(scores), torch.tensor(grades), top_k=k)
    assert found == pytest.approx(theirs.item(), abs=1e-5)


def test_ties_count_as_the_mean_of_all_orders() -> None:
    grades = [2, 0, 1]
    orders = [by_hand([3, *order], 2, False) for order in permutations(grades)]
    assert ndcg(np.array([9.0, 1, 1, 1]), np.array([3, *grades]), k=2) == pytest.approx(np.mean(orders))


def test_ten_items_count_unless_told_otherwise() -> None:
    grades = np.array([1, 2] * 10)
    scores = -np.arange(20.0)
    assert ndcg(scores, grades) == ndcg(scores, grades, k=10) != ndcg(scores, grades, k=9)


def test_a_list_of_one_item_is_in_order() -> None:
    assert ndcg(np.array([0.3]), np.array([2])) == 1.0


@pytest.mark.parametrize("n_items", [0, 1, 5])
def test_without_relevant_items_it_is_undefined(n_items: int) -> None:
    assert math.isnan(ndcg(np.arange(float(n_items)), np.zeros(n_items, dtype=np.int64)))


def test_its_declaration() -> None:
    found = find("ndcg")
    assert (found.task, found.level, found.view) == ("ranking", "sample", "lists")
    assert found.higher_is_better
    assert (found.spec, found.source) == ("ndcg", "scikit-learn")
    assert find("ndcg?k=3").function(np.arange(9.0), np.arange(9)) == pytest.approx(1.0, abs=1e-12)
