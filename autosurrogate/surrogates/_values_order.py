"""Order statistics of values: soft quantiles, ranks, and what is found among the largest."""

import torch
from torch import Tensor

from autosurrogate.surrogates._layers import matmul

N_ZONES = 4  # parts of equal size, from the smallest targets to the largest


def about_quantiles(ordered: Tensor, places: Tensor, bandwidth: float) -> Tensor:
    """Means of sorted values about quantiles, by a normal kernel.

    Args:
        ordered: shape (..., n), ascending.
        places: shape (k,), which quantiles, in [0, 1].
        bandwidth: standard deviation of the kernel, as a fraction of the n.

    Returns:
        Shape (..., k).
    """
    n = ordered.size(-1)
    place = (torch.arange(n, dtype=ordered.dtype, device=ordered.device) + 0.5) / n
    weights = (-((place.unsqueeze(1) - places) / bandwidth).square() / 2).softmax(0)
    return matmul(ordered, weights.expand(ordered.size(0), n, places.size(0)))


def ranks(values: Tensor) -> Tensor:
    """Ranks of each row, ties averaged, in [0, 1]: shape (n_points, D, n)."""
    ordered, values = values.sort(2)[0].contiguous(), values.contiguous()
    below, not_above = torch.searchsorted(ordered, values), torch.searchsorted(ordered, values, right=True)
    return (below + not_above).to(values.dtype) / (2 * values.size(2))


def distribution(values: Tensor, ordered: Tensor, n_anchors: int) -> Tensor:
    """A smooth distribution function of each row at each of its values, shape (n_points, D, n).

    It rises at `n_anchors` quantiles of the row, at each over the distance of its neighbours, and at least over a
    hundredth of a unit.
    """
    places = (torch.arange(n_anchors, dtype=values.dtype, device=values.device) + 0.5) / n_anchors
    anchors = about_quantiles(ordered, places, 0.5 / n_anchors)
    steps = anchors[:, :, 1:] - anchors[:, :, :-1]
    steps = torch.cat([steps[:, :, :1], (steps[:, :, 1:] + steps[:, :, :-1]) / 2, steps[:, :, -1:]], 2)
    width = 0.5 * steps + 3e-3  # predictions that are all the same must not have an endless slope
    return torch.sigmoid((values.unsqueeze(3) - anchors.unsqueeze(2)) / width.unsqueeze(2)).mean(3)


def correlation(a: Tensor, b: Tensor) -> Tensor:
    """Pearson's correlation of rows (n_points, D, n) of numbers from 0 to 1; 0 where one is constant."""
    a, b = a - a.mean(2, keepdim=True), b - b.mean(2, keepdim=True)
    return (a * b).mean(2) / (a.square().mean(2) + 1e-4).sqrt() / (b.square().mean(2) + 1e-8).sqrt()


def quantile(ordered: Tensor, place: float) -> Tensor:
    """One quantile of sorted values (n_points, D, n), shape (n_points, D), see `about_quantiles`."""
    return about_quantiles(ordered, torch.full((1,), place, dtype=ordered.dtype, device=ordered.device), 0.03)[:, :, 0]


def share_found(values: Tensor, ordered: Tensor, true_ranks: Tensor, fraction: float) -> Tensor:
    """Which share of the largest targets, a fraction of all, have the largest values, shape (n_points, D)."""
    cut = quantile(ordered, 1 - fraction).unsqueeze(2)
    largest = (true_ranks > 1 - fraction - 0.5 / values.size(2) + 1e-4).to(values.dtype)
    return (largest * torch.sigmoid((values - cut) / 0.1)).sum(2) / largest.sum(2).clamp_min(1)


def zones(target: Tensor, n_zones: int) -> Tensor:
    """Weights of the values in each zone of the target, from the smallest, shape (n_points, D, n_zones, n).

    They sum to 1; those of a zone without values are equal.
    """
    zone = (ranks(target) * n_zones).clamp(max=n_zones - 0.5).floor().unsqueeze(2)
    numbers = torch.arange(n_zones, dtype=target.dtype, device=target.device).view(1, 1, -1, 1)
    weights = (zone == numbers).to(target.dtype) + 1e-4
    return weights / weights.sum(3, keepdim=True)
