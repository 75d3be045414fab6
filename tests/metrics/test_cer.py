from __future__ import annotations

import math

import nltk
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autosurrogate.metrics.cer import cer
from autosurrogate.registry.lookup import find

TOKENS = st.lists(st.integers(0, 4), max_size=12)


@given(TOKENS, TOKENS.filter(bool))
def test_it_is_nltk_s_by_the_reference(preds: list[int], target: list[int]) -> None:
    assert cer(preds, target) == nltk.edit_distance(preds, target) / len(target)


@pytest.mark.parametrize(
    ("preds", "target", "expected"), [([1, 2], [1, 2], 0.0), ([], [1, 2], 1.0), ([1, 2, 3, 4, 5, 6], [7, 8], 3.0)]
)
def test_worked_cases(preds: list[int], target: list[int], expected: float) -> None:
    assert cer(preds, target) == expected


def test_an_empty_reference_has_none() -> None:
    assert math.isnan(cer([1], []))
    assert math.isnan(cer([], []))


def test_its_declaration() -> None:
    found = find("cer")
    assert (found.task, found.level, found.view, found.set_size) == ("sequence", "sample", "tokens", 1)
    assert not found.higher_is_better
    assert (found.spec, found.source) == ("cer", "editdistance")
