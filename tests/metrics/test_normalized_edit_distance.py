from __future__ import annotations

import nltk
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autosurrogate.metrics.normalized_edit_distance import normalized_edit_distance
from autosurrogate.registry.lookup import find

TOKENS = st.lists(st.integers(0, 4), max_size=12)


@given(TOKENS, TOKENS.filter(bool))
def test_it_is_nltk_s_by_the_longer(preds: list[int], target: list[int]) -> None:
    expected = 1 - nltk.edit_distance(preds, target) / max(len(preds), len(target))
    assert normalized_edit_distance(preds, target) == expected


@given(TOKENS, TOKENS)
def test_both_sides_are_alike(preds: list[int], target: list[int]) -> None:
    assert normalized_edit_distance(preds, target) == normalized_edit_distance(target, preds)


@pytest.mark.parametrize(
    ("preds", "target", "expected"), [([], [], 1.0), ([], [1, 2], 0.0), ([1, 2], [], 0.0), ([1, 2, 3, 4], [1, 2], 0.5)]
)
def test_worked_cases(preds: list[int], target: list[int], expected: float) -> None:
    assert normalized_edit_distance(preds, target) == expected


def test_its_declaration() -> None:
    found = find("normalized_edit_distance")
    assert (found.task, found.level, found.view, found.set_size) == ("sequence", "sample", "tokens", 1)
    assert found.higher_is_better
    assert (found.spec, found.source) == ("normalized_edit_distance", "editdistance")
