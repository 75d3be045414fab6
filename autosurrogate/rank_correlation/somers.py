"""Somers' D: how well numbers order the points whose metric differs, and the difference between two such lists.

Where a metric stands still on many points, Spearman's correlation counts against a loss how it orders these. Somers' D
of the loss with respect to the metric leaves such pairs out (Somers, American Sociological Review 27, 1962).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from autosurrogate.errors import ShapeError
from autosurrogate.rank_correlation.statistics import kendall

_ROWS_AT_ONCE = 2_000_000  # pairs that are compared at a time


class SomersDifference(NamedTuple):
    """Two lists beside each other on the same points.

    Args:
        first: Somers' D of the first list, in [-1, 1].
        second: of the second list.
        error: standard error of first - second over the points.
    """

    first: float
    second: float
    error: float


def somers_d(a: np.ndarray, b: np.ndarray) -> float:
    """Somers' D of `a` with respect to `b`: concordant minus discordant pairs, over the pairs that differ in `b`.

    A pair that differs in `b` and is tied in `a` counts as half wrong.

    Args:
        a: shape (n_points,).
        b: shape (n_points,).

    Returns:
        A value in [-1, 1]; 0 for a constant `a`; NaN, without a warning, for fewer than two points, a constant `b`, or
        NaN in either.

    Raises:
        ShapeError: `a` and `b` are not two lists of one length.

    >>> round(somers_d(np.array([1.0, 2.0, 3.0, 4.0]), np.array([0.0, 0.0, 0.0, 9.0])), 4)
    1.0
    """
    a, b = _lists("somers_d", a, b)
    if not _differ(b) or np.isnan(a).any():
        return float("nan")
    if (a == a[0]).all():
        return 0.0
    untied_a, untied_b = (len(x) ** 2 - np.square(np.unique(x, return_counts=True)[1]).sum() for x in (a, b))
    return float(kendall(a, b) * (untied_a / untied_b) ** 0.5)  # tau-b divides by the geometric mean of both


def somers_difference(first: np.ndarray, second: np.ndarray, b: np.ndarray) -> SomersDifference:
    """Somers' D of two lists with respect to `b`, and the standard error of their difference.

    The error is the delta method's, from what each point adds to both (Newson, The Stata Journal 2, 2002).

    Args:
        first: shape (n_points,).
        second: shape (n_points,).
        b: shape (n_points,).

    Raises:
        ShapeError: the lists are not of one length.

    >>> somers_difference(np.array([1.0, 2.0, 3.0]), np.array([3.0, 2.0, 1.0]), np.array([5.0, 6.0, 7.0]))
    SomersDifference(first=1.0, second=-1.0, error=0.0)
    """
    first, second, b = _lists("somers_difference", first, second, b)
    if not _differ(b) or np.isnan(first).any() or np.isnan(second).any():
        return SomersDifference(float("nan"), float("nan"), float("nan"))
    n_points = len(b)
    sums = np.zeros((3, n_points))
    for start in range(0, n_points, max(1, _ROWS_AT_ONCE // n_points)):
        rows = slice(start, start + max(1, _ROWS_AT_ONCE // n_points))
        signs = [np.sign(x[rows, None] - x).astype(np.float32) for x in (b, first, second)]
        for i, sign in enumerate(signs):
            sums[i, rows] = np.einsum("ij,ij->i", signs[0], sign)
    total = sums[0].sum()
    d_first, d_second = (float(sums[i].sum() / total) for i in (1, 2))
    influence = 2 * n_points * (sums[1] - sums[2] - (d_first - d_second) * sums[0]) / total
    return SomersDifference(d_first, d_second, float(influence.std(ddof=1) / n_points**0.5))


def _lists(who: str, *lists: np.ndarray) -> tuple[np.ndarray, ...]:
    arrays = tuple(np.asarray(x, dtype=np.float64) for x in lists)
    if arrays[0].ndim != 1 or any(x.shape != arrays[0].shape for x in arrays):
        shapes = ", ".join(str(x.shape) for x in arrays)
        raise ShapeError(f"{who}: expected arrays of one shape (n_points,), got {shapes}")
    return arrays


def _differ(b: np.ndarray) -> bool:
    return len(b) > 1 and not np.isnan(b).any() and bool((b != b[0]).any())
