"""Bootstrap intervals of rank correlations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from autosurrogate.errors import OptionError, ShapeError
from autosurrogate.rank_correlation.statistics import (
    Statistic,
    can_be_ranked,
    each_resample,
    kendall,
    kendall_of_resamples,
    spearman,
    spearman_of_resamples,
    two_lists,
)

_MAX_DRAWS = 4_000_000  # points drawn in all by one bootstrap: 1,000 resamples of 4,000 points
_MIN_RESAMPLES = 100  # whatever the number of points
_DRAWS_AT_ONCE = 1_000_000  # bounds the memory of one step


def bootstrap_interval(
    a: np.ndarray,
    b: np.ndarray,
    statistic: Statistic,
    *,
    seed: int = 0,
    n_resamples: int = 1000,
    confidence: float = 0.95,
    groups: Sequence[int] | None = None,
) -> tuple[float, float]:
    """Percentile bootstrap interval of a statistic of pairs (a, b), drawing points with replacement.

    Where points come in groups of similar points, groups are drawn first, and then points of each drawn group
    (Davison & Hinkley, Bootstrap Methods and their Application, 1997, section 3.8).

    Resamples on which the statistic is NaN are left out. Beyond 4,000 points fewer resamples are drawn, so that
    4 million draws are not exceeded, down to 100; an interval that narrow needs no more.

    Args:
        a: shape (n_points,).
        b: shape (n_points,).
        statistic: `spearman`, `kendall` (both computed for many resamples at once) or any other of (a, b).
        seed: of the resamples.
        n_resamples: how many to draw, at least 1.
        confidence: fraction of the resamples inside the interval, in (0, 1).
        groups: the number of points in each group, in the order of the points, at least 1; one group if None.

    Returns:
        (low, high); (NaN, NaN) where no resample has a value.

    Raises:
        ShapeError: `a` and `b` are not two lists of one length, or `groups` are not of as many points.
        OptionError: `n_resamples` or `confidence` is out of range.

    >>> points = np.arange(50.0)
    >>> bootstrap_interval(points, points, spearman)
    (1.0, 1.0)
    """
    a, b = two_lists("bootstrap_interval", a, b)
    if n_resamples < 1 or not 0 < confidence < 1:
        raise OptionError(
            f"bootstrap_interval: n_resamples >= 1 and 0 < confidence < 1 must hold, got {n_resamples=}, {confidence=}"
        )
    groups = (len(a),) if groups is None else tuple(groups)
    if sum(groups) != len(a) or (len(a) and min(groups) < 1):
        raise ShapeError(f"bootstrap_interval: groups {groups} are not of the {len(a)} points, 1 or more of each")
    if not can_be_ranked(a, b):
        return float("nan"), float("nan")
    resampled = _OF_RESAMPLES.get(statistic, each_resample(statistic))
    n_resamples = min(n_resamples, max(_MIN_RESAMPLES, _MAX_DRAWS // len(a)))
    draws = _resamples(groups, n_resamples, np.random.default_rng(seed))
    values = np.concatenate([resampled(a, b, counts) for counts in draws])
    values = values[~np.isnan(values)]
    if not len(values):
        return float("nan"), float("nan")
    tail = (1 - confidence) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)


def _resamples(groups: tuple[int, ...], n_resamples: int, generator: np.random.Generator) -> Iterator[np.ndarray]:
    """Resamples as how often each point was drawn: arrays (some, n_points), `n_resamples` rows in all."""
    at_once = max(1, _DRAWS_AT_ONCE // sum(groups))
    for start in range(0, n_resamples, at_once):
        n_rows = min(at_once, n_resamples - start)
        n_draws = _drawn(np.full(n_rows, len(groups)), len(groups), generator)
        counts = [_drawn(n_draws[:, i] * size, size, generator) for i, size in enumerate(groups)]
        yield np.concatenate(counts, axis=1)


def _drawn(n_draws: np.ndarray, n: int, generator: np.random.Generator) -> np.ndarray:
    """How often each of `n` was drawn, shape (n_rows, n), in `n_draws` of each row with replacement."""
    drawn = generator.integers(0, n, n_draws.sum()) + n * np.repeat(np.arange(len(n_draws)), n_draws)
    return np.bincount(drawn, minlength=len(n_draws) * n).reshape(len(n_draws), n)


_OF_RESAMPLES: dict[Statistic, Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]] = {
    spearman: spearman_of_resamples,
    kendall: kendall_of_resamples,
}
