from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autosurrogate.metrics.span_em import span_em
from autosurrogate.registry.lookup import find

SPANS = st.tuples(st.integers(0, 2), st.integers(0, 2)).map(lambda ends: tuple(sorted(ends)))
PAIRS = st.lists(st.tuples(SPANS, SPANS), min_size=1, max_size=12)


@given(PAIRS)
def test_it_is_the_share_of_equal_spans(pairs: list[tuple[tuple[int, int], tuple[int, int]]]) -> None:
    preds, target = np.array(pairs).transpose(1, 0, 2)
    assert span_em(preds, target) == pytest.approx(sum(p == t for p, t in pairs) / len(pairs), abs=1e-15)


def test_one_right_end_is_not_enough() -> None:
    target = np.array([[3, 5]])
    assert [span_em(np.array([span]), target) for span in ([3, 5], [3, 4], [4, 5])] == [1, 0, 0]


def test_a_set_without_spans_has_none() -> None:
    empty = np.empty((0, 2), dtype=np.int64)
    assert math.isnan(span_em(empty, empty))


def test_its_declaration() -> None:
    found = find("span_em")
    assert (found.task, found.level, found.view, found.set_size) == ("span", "set", "positions", 64)
    assert found.higher_is_better
    assert (found.spec, found.source) == ("span_em", "numpy")
