from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from autosurrogate.metrics.r2 import r2
from autosurrogate.registry.lookup import find

SETS = st.tuples(st.integers(2, 20), st.integers(1, 3)).flatmap(
    lambda shape: st.tuples(*[st_numpy.arrays(np.float64, shape, elements=st.integers(-9, 9).map(float))] * 2)
)


@given(SETS)
def test_it_is_its_formula_for_each_column(example: tuple[np.ndarray, np.ndarray]) -> None:
    preds, target = example
    columns = []
    for p, t in zip(preds.T, target.T, strict=True):
        total = ((t - t.mean()) ** 2).sum()
        columns.append(1 - ((p - t) ** 2).sum() / total if total > 1e-9 else float((p == t).all()))
    assert r2(preds, target) == pytest.approx(np.mean(columns), rel=1e-9, abs=1e-9)


def test_the_mean_explains_nothing_and_the_targets_themselves_all() -> None:
    target = np.array([[1.0], [2.0], [6.0]])
    assert r2(np.full((3, 1), 3.0), target) == pytest.approx(0)
    assert r2(target, target) == 1
    assert r2(target + 10, target) < -1


@pytest.mark.parametrize("n", [0, 1])
def test_too_small_a_set_has_none(n: int) -> None:
    assert math.isnan(r2(np.zeros((n, 2)), np.ones((n, 2))))


def test_its_declaration() -> None:
    found = find("r2")
    assert (found.task, found.level, found.view, found.set_size) == ("values", "set", "values", 128)
    assert found.higher_is_better
    assert (found.spec, found.source) == ("r2", "scikit-learn")
