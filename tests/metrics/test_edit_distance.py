from __future__ import annotations

import nltk
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autosurrogate.metrics.edit_distance import edit_distance
from autosurrogate.registry.lookup import find

TOKENS = st.lists(st.integers(0, 4), max_size=12)


@given(TOKENS, TOKENS)
def test_it_is_nltk_s(preds: list[int], target: list[int]) -> None:
    assert edit_distance(preds, target) == nltk.edit_distance(preds, target)


@pytest.mark.parametrize(
    ("preds", "target", "expected"),
    [([], [], 0), ([], [1, 2], 2), ([1, 2], [], 2), ([1, 2, 3], [2, 3, 4], 2), ([2, 1], [1, 2], 2), ([12], [1, 2], 2)],
)
def test_worked_cases(preds: list[int], target: list[int], expected: float) -> None:
    assert edit_distance(preds, target) == expected


def test_its_declaration() -> None:
    found = find("edit_distance")
    assert (found.task, found.level, found.view, found.set_size) == ("sequence", "sample", "tokens", 1)
    assert not found.higher_is_better
    assert (found.spec, found.source) == ("edit_distance", "editdistance")
