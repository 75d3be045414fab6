from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from autosurrogate.metrics.median_absolute_error import median_absolute_error
from autosurrogate.registry.lookup import find

SETS = st.tuples(st.integers(1, 20), st.integers(1, 3)).flatmap(
    lambda shape: st.tuples(*[st_numpy.arrays(np.float64, shape, elements=st.floats(-9, 9))] * 2)
)


@given(SETS)
def test_it_is_the_mean_of_the_columns_medians(example: tuple[np.ndarray, np.ndarray]) -> None:
    preds, target = example
    medians = [statistics.median(abs(p - t)) for p, t in zip(preds.T, target.T, strict=True)]
    assert median_absolute_error(preds, target) == pytest.approx(statistics.mean(medians), abs=1e-12)


def test_a_few_large_errors_do_not_count() -> None:
    target = np.zeros((5, 1))
    assert median_absolute_error(np.array([[1.0], [1.0], [1.0], [99.0], [-99.0]]), target) == 1.0


def test_a_set_without_examples_has_none() -> None:
    assert math.isnan(median_absolute_error(np.empty((0, 1)), np.empty((0, 1))))


def test_its_declaration() -> None:
    found = find("median_absolute_error")
    assert (found.task, found.level, found.view, found.set_size) == ("values", "set", "values", 128)
    assert not found.higher_is_better
    assert (found.spec, found.source) == ("median_absolute_error", "scikit-learn")
