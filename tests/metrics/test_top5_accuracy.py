from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from autosurrogate.metrics.top5_accuracy import top5_accuracy
from autosurrogate.registry.lookup import find


def sets(smallest: int, largest: int) -> st.SearchStrategy[tuple[np.ndarray, np.ndarray]]:
    """Scores with many ties, and targets."""
    shapes = st.tuples(st.integers(1, 30), st.integers(smallest, largest))
    return shapes.flatmap(
        lambda shape: st.tuples(
            st_numpy.arrays(np.float64, shape, elements=st.sampled_from([0.0, 0.1, 0.2, 0.5])),
            st_numpy.arrays(np.int64, shape[:1], elements=st.integers(0, shape[1] - 1)),
        )
    )


def by_sorting(preds: np.ndarray, target: np.ndarray) -> float:
    hits = [right in np.argsort(-row, kind="stable")[:5] for row, right in zip(preds, target, strict=True)]
    return sum(hits) / len(hits)


@given(sets(2, 15))
def test_it_is_what_a_stable_sort_says(example: tuple[np.ndarray, np.ndarray]) -> None:
    assert top5_accuracy(*example) == by_sorting(*example)


@given(sets(2, 5))
def test_with_five_classes_or_fewer_all_are_hits(example: tuple[np.ndarray, np.ndarray]) -> None:
    assert top5_accuracy(*example) == 1.0


@given(sets(6, 15))
@pytest.mark.slow
def test_only_the_order_counts(example: tuple[np.ndarray, np.ndarray]) -> None:
    preds, target = example
    assert top5_accuracy(np.exp(3 * preds), target) == top5_accuracy(preds, target)


@pytest.mark.parametrize(("target", "hit"), [(4, 1.0), (5, 0.0)])
def test_of_equals_the_smaller_number_comes_first(target: int, hit: float) -> None:
    assert top5_accuracy(np.full((1, 8), 0.125), np.array([target])) == hit


@pytest.mark.parametrize(("place", "hit"), [(4, 1.0), (5, 0.0)])
def test_the_fifth_is_in_and_the_sixth_is_out(place: int, hit: float) -> None:
    assert top5_accuracy(np.arange(9.0, 0.0, -1.0)[None], np.array([place])) == hit


def test_a_set_without_examples_has_none() -> None:
    assert math.isnan(top5_accuracy(np.empty((0, 10)), np.empty(0, dtype=np.int64)))


def test_its_declaration() -> None:
    found = find("top5_accuracy")
    assert (found.task, found.level, found.view, found.set_size) == ("classification", "set", "probabilities", 128)
    assert found.higher_is_better
    assert (found.spec, found.source) == ("top5_accuracy", "numpy")
