"""Differentiable ranks."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from autosurrogate.errors import OptionError, ShapeError

METHODS = ("pairwise", "diffsort")


def soft_rank(scores: Tensor, *, method: str = "pairwise", steepness: float = 8.0) -> Tensor:
    """Differentiable ascending ranks of each row.

    Args:
        scores: shape (batch, n_items), finite.
        method: "pairwise", a sum of sigmoids of differences (Qin et al., Information Retrieval 2010, eq. 10), or
            "diffsort", a differentiable sorting network (Petersen et al., ICLR 2022, arXiv 2203.09630).
        steepness: sharpness, in 1 / unit of `scores`; ranks tend to the hard ones as it grows.

    Returns:
        Ranks in [1, n_items], shape and dtype of `scores`.

    Raises:
        ShapeError: `scores` does not have two axes.
        OptionError: no such method.

    >>> soft_rank(torch.tensor([[3.0, 1.0, 2.0]]), steepness=1e4)
    tensor([[3., 1., 2.]])
    """
    if scores.ndim != 2:
        raise ShapeError(
            f"soft_rank: scores must be (batch, n_items), got {tuple(scores.shape)}; for one list pass scores[None]"
        )
    if method == "pairwise":
        return _pairwise(scores, steepness)
    if method == "diffsort":
        return _diffsort(scores, steepness)
    raise OptionError(f"soft_rank: method must be one of {', '.join(METHODS)}, got {method!r}")


def standardise(scores: Tensor) -> Tensor:
    """Rows of mean 0 and standard deviation 1, so that a steepness means the same at every scale.

    >>> standardise(torch.tensor([[1.0, 3.0]]))
    tensor([[-1.,  1.]])
    """
    centred = scores - scores.mean(-1, keepdim=True)
    return centred / centred.square().mean(-1, keepdim=True).clamp_min(1e-20).sqrt()


def _pairwise(scores: Tensor, steepness: float) -> Tensor:
    differences = scores.unsqueeze(-1) - scores.unsqueeze(-2)
    return 0.5 + torch.sigmoid(steepness * differences).sum(-1)  # an item wins half against itself


def _diffsort(scores: Tensor, steepness: float) -> Tensor:
    """Expected places in a bitonic sorting network whose comparators swap softly.

    A comparator of a and b that lie d apart keeps the smaller first by sigmoid(steepness · d / |d|^¼). The places are
    the network's soft permutation matrix times 1 … n, taken comparator by comparator from the last to the first, so
    that the matrix itself, n² numbers for each of O(log² n) layers, is never computed.
    """
    # The network needs a power of two: items above all others pad it.
    n_rows, n_items = scores.shape
    n_stages = max(1, math.ceil(math.log2(max(n_items, 2))))
    above = scores.detach().amax(-1, keepdim=True) + 1e3 / steepness
    lanes = torch.cat([scores, above.expand(-1, 2**n_stages - n_items)], -1)
    layers: list[Tensor] = []
    for stage in range(n_stages):
        for distance in (2**k for k in range(stage, -1, -1)):
            first, second = lanes.view(n_rows, -1, 2, distance).unbind(2)
            gap = second - first
            in_order = torch.sigmoid(steepness * gap / (gap.abs() + 1e-10) ** 0.25)
            start = 2 * distance * torch.arange(first.shape[1], device=scores.device)
            descends = ((start >> (stage + 1)) & 1).bool()[:, None]
            stays = torch.where(descends, 1 - in_order, in_order)
            lanes = _swapped(first, second, stays)
            layers.append(stays)
    places = torch.arange(1, 2**n_stages + 1, dtype=scores.dtype, device=scores.device).expand(n_rows, -1)
    for stays in reversed(layers):
        first, second = places.reshape(n_rows, -1, 2, stays.shape[2]).unbind(2)
        places = _swapped(first, second, stays)
    return places[:, :n_items]


def _swapped(first: Tensor, second: Tensor, stays: Tensor) -> Tensor:
    """The lanes after comparators of which a fraction `stays`, (n_rows, n_groups, distance) to (n_rows, n)."""
    swapped = (1 - stays) * (first - second)
    return torch.stack([first - swapped, second + swapped], 2).flatten(1)
