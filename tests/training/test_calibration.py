"""A loss is made to fall as fast as its metric rises, and to rank as before."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from autosurrogate.surrogates._calibration import N_KNOTS, Calibration
from autosurrogate.training.calibration import MIN_SLOPE, calibrate, rising


def curve(x: np.ndarray, y: np.ndarray) -> Calibration:
    found = Calibration()
    arrays = rising(x, y)
    assert arrays is not None
    found.follow(*map(torch.from_numpy, arrays))
    return found


def test_it_is_the_identity_until_it_is_told() -> None:
    found = torch.linspace(-5, 20, 101)
    torch.testing.assert_close(Calibration()(found), found)


def test_it_follows_what_the_metric_is_at_each_loss() -> None:
    generator = np.random.default_rng(0)
    x = generator.uniform(0, 4, 20_000)
    y = np.exp(x) + generator.normal(0, 1, len(x))
    found = curve(x, y)
    at = torch.linspace(0.4, 3.6, 50)
    ramp = MIN_SLOPE * (np.exp(4) - 1) / 4 * (at - at[0])
    assert (found(at) - ramp - at.exp() - (found(at) - ramp - at.exp()).mean()).abs().max() < 4


@pytest.mark.parametrize("kind", ["step", "noise", "flat ends"])
def test_it_rises_everywhere_and_smoothly(kind: str) -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(0, 1, 4000)
    y = {"step": (x > 0).astype(float), "noise": x + generator.normal(0, 5, len(x)), "flat ends": x.clip(-0.3, 0.3)}
    found = curve(x, y[kind])
    at = torch.linspace(-8, 8, 20_001, dtype=torch.float32, requires_grad=True)
    (slope,) = torch.autograd.grad(found(at).sum(), at)
    ends = found(found.knots[[0, -1]])
    mean = float((ends[1] - ends[0]) / (found.knots[-1] - found.knots[0]))
    assert slope.min() > 0.02 * mean
    assert slope.diff().abs().max() < 0.02 * slope.max()


def test_what_cannot_be_told_apart_or_does_not_rise_has_no_curve() -> None:
    x = np.random.default_rng(0).normal(size=1000)
    assert rising(np.ones(1000), x) is None
    assert rising(np.round(x / 10), x) is None
    assert rising(x, -x) is None
    assert rising(x, np.full(1000, 0.5)) is None
    assert rising(x[: N_KNOTS - 1], x[: N_KNOTS - 1]) is None
    assert rising(np.where(x > 2, np.inf, x), x) is None


class Network(nn.Module):
    def score(self, features: torch.Tensor, n_rows: int) -> torch.Tensor:
        return features[:, 0]


class Loss(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.network, self.sign, self.calibration = Network(), torch.ones(()), Calibration()


class Table:
    def __init__(self, loss: torch.Tensor, values: torch.Tensor) -> None:
        self.features, self.values = loss[:, None, None], values


@pytest.mark.parametrize("higher_is_better", [True, False])
def test_a_loss_estimates_the_metric_and_ranks_as_before(higher_is_better: bool) -> None:
    found = torch.randn(4000, generator=torch.Generator().manual_seed(0))
    sign = -1.0 if higher_is_better else 1.0
    table: Any = Table(found, sign * 50 * found.exp().clamp(max=4).double())
    loss = Loss()
    calibrate(loss, [table], higher_is_better)
    calibrated = loss.calibration(found)
    assert torch.equal(calibrated.argsort(), found.argsort())
    low, high = (found > -1.2) & (found < -0.8), (found > 0.8) & (found < 1.2)
    at = found.clone().requires_grad_(True)
    (slope,) = torch.autograd.grad(loss.calibration(at).sum(), at)
    assert slope[high].mean() > 3 * slope[low].mean()
    loss.calibration.stretch(0.01)
    torch.testing.assert_close(loss.calibration(found), calibrated * 0.01)
