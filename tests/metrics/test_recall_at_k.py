from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchmetrics.functional.retrieval import retrieval_recall

from autosurrogate.metrics.recall_at_k import recall_at_k
from autosurrogate.registry.lookup import find

LISTS = st.lists(st.integers(0, 3), min_size=1, max_size=25).filter(any)


@given(LISTS, st.integers(1, 25))
def test_it_is_torchmetrics_s(order: list[int], k: int) -> None:
    scores = np.linspace(1, 0.1, len(order))  # theirs takes scores of 0 and less for items that were not found
    theirs = retrieval_recall(torch.tensor(scores), torch.tensor(order) > 0, top_k=min(k, len(order)))
    assert recall_at_k(scores, np.array(order), k=k) == pytest.approx(theirs.item(), rel=1e-6)


@given(LISTS, st.integers(1, 25), st.data())
def test_with_ties_it_is_the_worst_of_the_orders(relevance: list[int], k: int, data: st.DataObject) -> None:
    scores = data.draw(st.lists(st.sampled_from([0.0, 0.25, 1.0]), min_size=len(relevance), max_size=len(relevance)))
    order = sorted(zip(scores, relevance, strict=True), key=lambda item: (-item[0], item[1] > 0))
    expected = sum(r > 0 for _, r in order[:k]) / sum(r > 0 for r in relevance)
    assert recall_at_k(np.array(scores), np.array(relevance), k=k) == expected


def test_ten_items_count_unless_told_otherwise() -> None:
    scores, relevance = -np.arange(20.0), np.arange(20) % 2
    assert recall_at_k(scores, relevance) == recall_at_k(scores, relevance, k=10) == 0.5


def test_a_list_that_is_shorter_is_found_whole() -> None:
    assert recall_at_k(np.array([0.2, 0.1]), np.array([0, 1])) == 1.0


@pytest.mark.parametrize("n_items", [0, 1, 5])
def test_without_relevant_items_it_is_undefined(n_items: int) -> None:
    assert math.isnan(recall_at_k(np.arange(float(n_items)), np.zeros(n_items, dtype=np.int64)))


def test_its_declaration() -> None:
    found = find("recall_at_k")
    assert (found.task, found.level, found.view) == ("ranking", "sample", "lists")
    assert found.higher_is_better
    assert (found.spec, found.source) == ("recall_at_k", "numpy")
