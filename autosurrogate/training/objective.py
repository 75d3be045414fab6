"""What a surrogate is trained to minimise."""

from __future__ import annotations

import torch
from torch import Tensor

from autosurrogate.rank_correlation.soft_ranks import soft_rank, standardise


def hard_rank(values: Tensor) -> Tensor:
    """Ascending ranks of a vector in [1, n], ties averaged.

    >>> hard_rank(torch.tensor([5.0, 1.0, 5.0]))
    tensor([2.5000, 1.0000, 2.5000])
    """
    _, inverse, counts = torch.unique(values, return_inverse=True, return_counts=True)
    ranks: Tensor = counts.cumsum(0) - (counts - 1) / 2
    return ranks[inverse]


def correlation(losses: Tensor, metric_ranks: Tensor, *, method: str, steepness: float) -> Tensor:
    """Spearman's correlation of soft ranks of losses with hard ranks of a metric (ReLoss, eq. 6 and 7).

    Args:
        losses: shape (n_points,); standardised here, so that their scale does not matter.
        metric_ranks: shape (n_points,), from `hard_rank`.
        method: see `soft_rank`.
        steepness: see `soft_rank`, per standard deviation of the losses.

    Returns:
        Scalar in [-1, 1].
    """
    ranks = soft_rank(standardise(losses[None]), method=method, steepness=steepness)
    return (standardise(ranks) * standardise(metric_ranks[None].to(ranks.dtype))).mean()


def approximation(losses: Tensor, badness: Tensor) -> Tensor:
    """Mean squared error against the metric, scaled so that lower is better (ReLoss, eq. 5).

    Args:
        losses: shape (n_points,).
        badness: shape (n_points,), the metric scaled to [0, 1], 0 best.
    """
    return (losses - badness).square().mean()
