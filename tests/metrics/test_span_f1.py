from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from autosurrogate.metrics.span_f1 import span_f1
from autosurrogate.registry.lookup import find

SPANS = st.tuples(st.integers(0, 11), st.integers(0, 11)).map(lambda ends: tuple(sorted(ends)))
PAIRS = st.lists(st.tuples(SPANS, SPANS), min_size=1, max_size=8)


def arrays(pairs: list[tuple[tuple[int, int], tuple[int, int]]]) -> tuple[np.ndarray, np.ndarray]:
    both = np.array(pairs)
    return both[:, 0], both[:, 1]


@given(PAIRS)
@pytest.mark.slow
def test_it_is_f1_of_the_positions(pairs: list[tuple[tuple[int, int], tuple[int, int]]]) -> None:
    def inside(span: tuple[int, int]) -> list[bool]:
        return [span[0] <= t <= span[1] for t in range(12)]

    expected = [f1_score(inside(target), inside(preds), zero_division=0) for preds, target in pairs]
    assert span_f1(*arrays(pairs)) == pytest.approx(np.mean(expected), abs=1e-12)


@pytest.mark.parametrize(
    ("preds", "target", "expected"),
    [((2, 5), (2, 5), 1), ((3, 3), (4, 4), 0), ((0, 9), (3, 3), 2 / 11), ((2, 3), (3, 4), 0.5)],
)
def test_worked_examples(preds: tuple[int, int], target: tuple[int, int], expected: float) -> None:
    assert span_f1(*arrays([(preds, target)])) == pytest.approx(expected, abs=1e-15)


@given(PAIRS)
def test_preds_and_target_may_be_exchanged(pairs: list[tuple[tuple[int, int], tuple[int, int]]]) -> None:
    preds, target = arrays(pairs)
    assert span_f1(preds, target) == span_f1(target, preds)


def test_a_set_without_spans_has_none() -> None:
    empty = np.empty((0, 2), dtype=np.int64)
    assert math.isnan(span_f1(empty, empty))


def test_its_declaration() -> None:
    found = find("span_f1")
    assert (found.task, found.level, found.view, found.set_size) == ("span", "set", "positions", 64)
    assert found.higher_is_better
    assert (found.spec, found.source) == ("span_f1", "numpy")
