"""How well two lists of numbers order the same points: hard, tie-averaged rank correlations.

The differentiable counterpart, used for training, is in `soft_ranks.py`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.stats

from autosurrogate.errors import ShapeError

Statistic = Callable[[np.ndarray, np.ndarray], float]

_MAX_POINTS_OF_MATRIX = 2_000  # above, a sort per resample beats a product with the matrix of all pairs


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's rank correlation: the correlation of tie-averaged ranks.

    Args:
        a: shape (n_points,).
        b: shape (n_points,).

    Returns:
        A value in [-1, 1]; NaN, without a warning, for fewer than two points, a constant `a` or `b`, or NaN in either.

    Raises:
        ShapeError: `a` and `b` are not two lists of one length.

    >>> spearman(np.array([1.0, 1.0, 2.0, 5.0]), np.array([3.0, 2.0, 2.0, 9.0]))
    0.5
    """
    a, b = two_lists("spearman", a, b)
    if not can_be_ranked(a, b):
        return float("nan")
    return float(spearman_of_resamples(a, b, np.ones((1, len(a)), dtype=np.int64))[0])


def kendall(a: np.ndarray, b: np.ndarray) -> float:
    """Kendall's tau-b: concordant minus discordant pairs, over the geometric mean of pairs not tied in `a` and `b`.

    Args:
        a: shape (n_points,).
        b: shape (n_points,).

    Returns:
        A value in [-1, 1]; NaN, without a warning, for fewer than two points, a constant `a` or `b`, or NaN in either.

    Raises:
        ShapeError: `a` and `b` are not two lists of one length.

    >>> round(kendall(np.array([1.0, 2.0, 3.0]), np.array([1.0, 3.0, 2.0])), 4)
    0.3333
    """
    a, b = two_lists("kendall", a, b)
    if not can_be_ranked(a, b):
        return float("nan")
    return float(scipy.stats.kendalltau(a, b).statistic)


def two_lists(who: str, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both as float64; raises `ShapeError`, which begins with `who`, unless they are lists of one length."""
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if a.ndim != 1 or a.shape != b.shape:
        raise ShapeError(f"{who}: expected two arrays of one shape (n_points,), got {a.shape} and {b.shape}")
    return a, b


def can_be_ranked(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether both have two values or more that differ, and no NaN."""
    return len(a) > 1 and all(not np.isnan(x).any() and (x != x[0]).any() for x in (a, b))


def _group_counts(x: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How often each distinct value was drawn, shape (n_resamples, n_values), and the value each point has."""
    _, group, sizes = np.unique(x, return_inverse=True, return_counts=True)
    starts = np.cumsum(sizes) - sizes
    return np.add.reduceat(counts[:, np.argsort(group, kind="stable")], starts, axis=1), group


def _centred_ranks(x: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Tie-averaged ranks of each resample, less their mean."""
    drawn, group = _group_counts(x, counts)
    ranks = np.cumsum(drawn, axis=1) - (drawn - 1) / 2
    centred: np.ndarray = ranks[:, group] - (counts.sum(axis=1, keepdims=True) + 1) / 2
    return centred


def spearman_of_resamples(a: np.ndarray, b: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Spearman's correlation of each resample, given how often each point was drawn, shape (n_resamples, n_points)."""
    rank_a, rank_b = _centred_ranks(a, counts), _centred_ranks(b, counts)
    covariance, variance_a, variance_b = (
        np.einsum("rn,rn,rn->r", counts, x, y) for x, y in ((rank_a, rank_b), (rank_a, rank_a), (rank_b, rank_b))
    )
    return _ratio(covariance, np.sqrt(variance_a * variance_b)).clip(-1, 1)


def kendall_of_resamples(a: np.ndarray, b: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Kendall's tau-b of each resample, given how often each point was drawn, shape (n_resamples, n_points)."""
    if len(a) > _MAX_POINTS_OF_MATRIX:
        return each_resample(kendall)(a, b, counts)
    drawn_a, group_a = _group_counts(a, counts)
    drawn_b, group_b = _group_counts(b, counts)
    concordant = np.sign(group_a[:, None] - group_a) * np.sign(group_b[:, None] - group_b)
    # integers below 2**24, so exact in float32
    surplus = np.einsum("rn,rn->r", counts.astype(np.float32) @ concordant.astype(np.float32), counts)
    n_pairs = counts.sum(axis=1) ** 2  # ordered, and with itself: all sums here are twice the usual, and so cancel
    untied_a, untied_b = (n_pairs - np.square(drawn).sum(axis=1) for drawn in (drawn_a, drawn_b))
    return _ratio(surplus, np.sqrt(untied_a * untied_b))


def each_resample(statistic: Statistic) -> Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]:
    """The same of any statistic, one resample after the other."""

    def resampled(a: np.ndarray, b: np.ndarray, counts: np.ndarray) -> np.ndarray:
        rows = (np.repeat(np.arange(len(a)), count) for count in counts)
        return np.array([statistic(a[row], b[row]) for row in rows], dtype=np.float64)

    return resampled


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Their quotient, NaN where the denominator is zero."""
    quotient = np.full(len(numerator), np.nan)
    np.divide(numerator, denominator, out=quotient, where=denominator > 0)
    return quotient
