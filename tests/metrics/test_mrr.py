from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchmetrics.functional.retrieval import retrieval_reciprocal_rank

from autosurrogate.metrics.mrr import mrr
from autosurrogate.registry.lookup import find

LISTS = st.lists(st.integers(0, 3), min_size=1, max_size=25).filter(any)


@given(LISTS)
def test_it_is_torchmetrics_s(order: list[int]) -> None:
    scores = np.linspace(1, 0.1, len(order))  # theirs takes scores of 0 and less for items that were not found
    theirs = retrieval_reciprocal_rank(torch.tensor(scores), torch.tensor(order) > 0)
    assert mrr(scores, np.array(order)) == pytest.approx(theirs.item(), rel=1e-6)


@given(LISTS, st.data())
def test_with_ties_it_is_the_worst_of_the_orders(relevance: list[int], data: st.DataObject) -> None:
    scores = data.draw(st.lists(st.sampled_from([0.0, 0.25, 1.0]), min_size=len(relevance), max_size=len(relevance)))
    order = sorted(zip(scores, relevance, strict=True), key=lambda item: (-item[0], item[1] > 0))
    first = next(place for place, (_, r) in enumerate(order) if r > 0)
    assert mrr(np.array(scores), np.array(relevance)) == 1 / (first + 1)


@pytest.mark.parametrize(("scores", "expected"), [([3.0, 2, 1], 1.0), ([2.0, 3, 1], 0.5), ([1.0, 3, 2], 1 / 3)])
def test_lists_by_hand(scores: list[float], expected: float) -> None:
    assert mrr(np.array(scores), np.array([2, 0, 0])) == expected


@pytest.mark.parametrize("n_items", [0, 1, 5])
def test_without_relevant_items_it_is_undefined(n_items: int) -> None:
    assert math.isnan(mrr(np.arange(float(n_items)), np.zeros(n_items, dtype=np.int64)))


def test_its_declaration() -> None:
    found = find("mrr")
    assert (found.task, found.level, found.view) == ("ranking", "sample", "lists")
    assert found.higher_is_better
    assert (found.spec, found.source) == ("mrr", "numpy")
