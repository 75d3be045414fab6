"""Sizes of errors of values, in which features are computed."""

import torch
from torch import Tensor

from autosurrogate.surrogates._layers import calmed, within


def units(target: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and spread of each column, (n_points, D, 1); the spread is 1 where it is 0 up to rounding."""
    mean = target.mean(2, keepdim=True)
    spread = (target - mean).square().mean(2, keepdim=True).sqrt()
    return mean, torch.where(spread <= 1e-6 * mean.abs(), torch.ones_like(spread), spread)


def in_units(error: Tensor, spread: Tensor) -> list[Tensor]:
    """The mean, the root mean square and the largest of errors as they are, as -log, each (n_points, D)."""
    size, log_spread = error.abs() / spread, spread.squeeze(2).log()
    means = [size.mean(2) + 1e-3, (size.square().mean(2) + 1e-6).sqrt(), size.amax(2) + 1e-3]
    return [-(mean.log() + log_spread) for mean in means]


def shares_within(size: Tensor, bounds: list[float]) -> Tensor:
    """Soft shares of sizes (n_points, D, n) below each bound, shape (n_points, D, n_bounds)."""
    return torch.stack([within(size, bound).mean(2) for bound in bounds], 2)


def symmetric_log(values: Tensor) -> Tensor:
    """log(1 + x) of positive values and -log(1 - x) of negative ones."""
    return values.sign() * (1 + values.abs()).log()


def angle(preds: Tensor, target: Tensor) -> Tensor:
    """The angle between rows as vectors, about, shape (n_points, D): the distance of the vectors at length 1.

    It sees the direction alone, also that of short vectors; both are in units of the target's spread.
    """
    length = (preds.square().sum(2, keepdim=True) + 1e-12).sqrt()
    size = (preds.square().mean(2, keepdim=True) + 1e-12).sqrt()
    direction = calmed(preds / length, size)
    true_direction = target / (target.square().sum(2, keepdim=True) + 1e-12).sqrt()
    return ((direction - true_direction).square().sum(2) + 1e-6).sqrt()
