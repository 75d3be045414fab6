from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from autosurrogate.metrics.accuracy import accuracy
from autosurrogate.registry.lookup import find

PAIRS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=200)


def arrays(pairs: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    preds, target = np.array(pairs, dtype=np.int64).T
    return preds, target


@given(PAIRS)
def test_it_is_the_share_of_equal_pairs(pairs: list[tuple[int, int]]) -> None:
    assert accuracy(*arrays(pairs)) == sum(p == t for p, t in pairs) / len(pairs)


@given(PAIRS, st.permutations(range(5)))
def test_it_does_not_depend_on_what_the_classes_are_called(pairs: list[tuple[int, int]], renamed: list[int]) -> None:
    preds, target = arrays(pairs)
    assert accuracy(np.array(renamed)[preds], np.array(renamed)[target]) == accuracy(preds, target)


def test_a_set_without_examples_has_none() -> None:
    empty = np.empty(0, dtype=np.int64)
    assert math.isnan(accuracy(empty, empty))


def test_its_declaration() -> None:
    found = find("accuracy")
    assert (found.task, found.level, found.view, found.set_size) == ("classification", "set", "labels", 128)
    assert found.higher_is_better
    assert (found.spec, found.source) == ("accuracy", "numpy")
