from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import label_ranking_average_precision_score
from torchmetrics.functional.retrieval import retrieval_average_precision

from autosurrogate.metrics.map import map as average_precision
from autosurrogate.registry.lookup import find

LISTS = st.lists(st.integers(0, 3), min_size=1, max_size=25).filter(any)


def by_hand(order: list[int]) -> float:
    found = [sum(r > 0 for r in order[: i + 1]) / (i + 1) for i, relevance in enumerate(order) if relevance > 0]
    return sum(found) / len(found)


@given(LISTS)
def test_it_is_its_formula_and_torchmetrics_s(order: list[int]) -> None:
    scores = np.linspace(1, 0.1, len(order))  # theirs takes scores of 0 and less for items that were not found
    found = average_precision(scores, np.array(order))
    assert found == pytest.approx(by_hand(order), rel=1e-12)
    theirs = retrieval_average_precision(torch.tensor(scores), torch.tensor(order) > 0)
    assert found == pytest.approx(theirs.item(), abs=1e-5)


@given(LISTS, st.data())
def test_with_ties_it_is_scikit_learn_s_of_labels(relevance: list[int], data: st.DataObject) -> None:
    scores = data.draw(st.lists(st.sampled_from([0.0, 0.25, 1.0]), min_size=len(relevance), max_size=len(relevance)))
    theirs = label_ranking_average_precision_score(np.array([relevance]) > 0, np.array([scores]))
    assert average_precision(np.array(scores), np.array(relevance)) == pytest.approx(theirs, rel=1e-12)


def test_grades_are_relevant_or_not() -> None:
    scores = np.array([3.0, 2.0, 1.0])
    found = average_precision(scores, np.array([0, 1, 4]))
    assert found == average_precision(scores, np.array([0, 4, 1])) == pytest.approx(7 / 12)


@pytest.mark.parametrize("n_items", [0, 1, 5])
def test_without_relevant_items_it_is_undefined(n_items: int) -> None:
    assert math.isnan(average_precision(np.arange(float(n_items)), np.zeros(n_items, dtype=np.int64)))


def test_its_declaration() -> None:
    found = find("map")
    assert (found.task, found.level, found.view) == ("ranking", "sample", "lists")
    assert found.higher_is_better
    assert (found.spec, found.source) == ("map", "scikit-learn")
