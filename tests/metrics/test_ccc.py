from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torchmetrics.functional.regression import concordance_corrcoef

from autosurrogate.metrics.ccc import ccc
from autosurrogate.registry.lookup import find


def pairs(n: int, n_columns: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    target = generator.normal(2, 3, (n, n_columns))
    return 0.7 * target + generator.normal(1, 2, (n, n_columns)), target


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("n_columns", [1, 3])
def test_it_is_torchmetrics_s_but_for_the_divisor_of_variances(seed: int, n_columns: int) -> None:
    preds, target = pairs(50, n_columns, seed)
    # Theirs divides variances by n - 1, which is much the same for each example a thousand times.
    many = [np.repeat(array, 1000, 0) for array in (preds, target)]
    theirs = concordance_corrcoef(*(torch.from_numpy(array).squeeze(1) for array in many)).mean().item()
    assert ccc(preds, target) == pytest.approx(theirs, abs=1e-4)
    assert ccc(*many) == pytest.approx(ccc(preds, target), abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_it_is_correlation_less_what_scale_and_offset_cost(seed: int) -> None:
    # As Lin writes it: Pearson's correlation times a factor of bias.
    preds, target = pairs(40, 1, seed)
    p, t = preds[:, 0], target[:, 0]
    scale, offset = p.std() / t.std(), (p.mean() - t.mean()) / np.sqrt(p.std() * t.std())
    expected = np.corrcoef(p, t)[0, 1] * 2 / (scale + 1 / scale + offset**2)
    assert ccc(preds, target) == pytest.approx(expected, rel=1e-9)


def test_sets_by_hand() -> None:
    target = np.array([[0.0], [2.0]])
    assert ccc(target, target) == 1
    assert ccc(2 - target, target) == -1
    assert ccc(target + 1, target) == pytest.approx(2 / 3)
    assert ccc(np.ones((2, 1)), target) == 0


@pytest.mark.parametrize("values", [np.zeros((0, 1)), np.ones((3, 1)), np.ones((1, 2))])
def test_without_any_spread_it_is_undefined(values: np.ndarray) -> None:
    assert math.isnan(ccc(values, values))


def test_its_declaration() -> None:
    found = find("ccc")
    assert (found.task, found.level, found.view, found.set_size) == ("values", "set", "values", 128)
    assert found.higher_is_better
    assert (found.spec, found.source) == ("ccc", "numpy")
