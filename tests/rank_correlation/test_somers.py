from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from autosurrogate.errors import ShapeError
from autosurrogate.rank_correlation import somers_d, somers_difference

few_values = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=12)


def by_definition(a: np.ndarray, b: np.ndarray) -> float:
    """Pair by pair."""
    pairs = [(np.sign(a[i] - a[j]), np.sign(b[i] - b[j])) for i, j in itertools.combinations(range(len(a)), 2)]
    return float(sum(x * y for x, y in pairs) / sum(y != 0 for _, y in pairs))


@given(points=few_values)
def test_somers_d_agrees_with_its_definition(points: list[tuple[int, int]]) -> None:
    a, b = np.array(points, dtype=np.float64).T
    if len(set(b)) > 1:
        assert somers_d(a, b) == pytest.approx(by_definition(a, b), abs=1e-12)


def test_somers_d_agrees_with_scipy() -> None:
    generator = np.random.default_rng(0)
    a, b = generator.integers(0, 5, (2, 60)).astype(np.float64)
    assert somers_d(a, b) == pytest.approx(scipy.stats.somersd(b, a).statistic, abs=1e-12)


def test_somers_d_looks_at_pairs_that_differ_in_the_second() -> None:
    metric = np.array([0.0, 0.0, 0.0, 0.5, 1.0])
    assert somers_d(np.array([1.0, 2.0, 3.0, 4.0, 5.0]), metric) == pytest.approx(1.0)
    assert somers_d(np.array([4.0, 2.0, 3.0, 4.0, 5.0]), metric) == pytest.approx(6 / 7)  # a tie of 7 pairs
    assert somers_d(np.ones(5), metric) == 0.0
    assert math.isnan(somers_d(metric, np.ones(5)))
    assert math.isnan(somers_d(np.array([1.0]), np.array([1.0])))
    assert math.isnan(somers_d(np.array([1.0, math.nan]), np.array([1.0, 2.0])))


def two_lists(seed: int, n_points: int = 200) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two noisy copies of a metric that is 0 in half of the points."""
    generator = np.random.default_rng(seed)
    metric = np.maximum(generator.normal(size=n_points), 0)
    return metric + generator.normal(0, 1, n_points), metric + generator.normal(0, 2, n_points), metric


def test_a_difference_has_both_figures() -> None:
    first, second, metric = two_lists(0)
    difference = somers_difference(first, second, metric)
    assert difference.first == pytest.approx(somers_d(first, metric))
    assert difference.second == pytest.approx(somers_d(second, metric))


def test_its_error_is_the_spread_of_the_difference_over_samples() -> None:
    differences = [somers_difference(*two_lists(seed)) for seed in range(300)]
    spread = np.std([difference.first - difference.second for difference in differences])
    assert np.mean([difference.error for difference in differences]) == pytest.approx(spread, rel=0.15)


def test_a_list_beside_itself_differs_by_nothing() -> None:
    first, _, metric = two_lists(1)
    assert somers_difference(first, first, metric)[1:] == (pytest.approx(somers_d(first, metric)), 0.0)


def test_where_nothing_can_be_ordered_it_is_nan() -> None:
    assert all(math.isnan(figure) for figure in somers_difference(*np.ones((3, 5))))


def test_lists_of_other_lengths_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"expected arrays of one shape \(n_points,\), got \(2,\), \(2,\), \(3,\)"):
        somers_difference(np.ones(2), np.ones(2), np.ones(3))
