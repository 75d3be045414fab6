"""Differentiable ranks."""

from __future__ import annotations

import functools
import math

import diffsort
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
    # The bitonic network has O(log² n) layers but wants a power of two: items above all others fill it up.
    n_items = scores.shape[1]
    size = 2 ** math.ceil(math.log2(max(n_items, 2)))
    above = scores.detach().amax(-1, keepdim=True) + 1e3 / steepness
    padded = torch.cat([scores, above.expand(-1, size - n_items)], -1)
    permutation: Tensor = _network(size, steepness, str(scores.device))(padded)[1]  # sorted = scores @ permutation
    ascending = torch.arange(1, size + 1, dtype=scores.dtype, device=scores.device)
    return (permutation @ ascending)[:, :n_items]


@functools.lru_cache(maxsize=64)
def _network(size: int, steepness: float, device: str) -> diffsort.DiffSortNet:
    return diffsort.DiffSortNet("bitonic", size, device, steepness=steepness, distribution="logistic_phi")
