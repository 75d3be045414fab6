from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from autosurrogate.metrics.spearman import spearman
from autosurrogate.registry.lookup import find

SETS = st.tuples(st.integers(2, 20), st.integers(1, 3)).flatmap(
    lambda shape: st.tuples(*[st_numpy.arrays(np.float64, shape, elements=st.integers(-4, 4).map(float))] * 2)
)


@given(SETS)
@pytest.mark.slow
def test_it_is_the_correlation_of_ranks_or_undefined(example: tuple[np.ndarray, np.ndarray]) -> None:
    preds, target = example
    found = spearman(preds, target)
    if (np.ptp(preds, 0) == 0).any() or (np.ptp(target, 0) == 0).any():
        assert math.isnan(found)
        return
    ranks = [scipy.stats.rankdata(values, axis=0) for values in example]
    columns = [np.corrcoef(a, b)[0, 1] for a, b in zip(ranks[0].T, ranks[1].T, strict=True)]
    assert found == pytest.approx(np.mean(columns), abs=1e-9)


@pytest.mark.slow
def test_only_the_order_counts() -> None:
    generator = np.random.default_rng(0)
    preds, target = generator.normal(size=(50, 1)), generator.normal(size=(50, 1))
    assert spearman(np.exp(preds), 3 * target + 7) == pytest.approx(spearman(preds, target), abs=1e-12)
    assert spearman(target, target) == pytest.approx(1)
    assert spearman(-target, target) == pytest.approx(-1)


@pytest.mark.parametrize("n", [0, 1])
def test_too_small_a_set_has_none(n: int) -> None:
    assert math.isnan(spearman(np.zeros((n, 2)), np.ones((n, 2))))


def test_its_declaration() -> None:
    found = find("spearman")
    assert (found.task, found.level, found.view, found.set_size) == ("values", "set", "values", 128)
    assert found.higher_is_better
    assert (found.spec, found.source) == ("spearman", "scipy")
