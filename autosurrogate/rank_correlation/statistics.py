"""How well two lists of numbers order the same points: hard, tie-averaged rank correlations with intervals.

The differentiable counterpart, used for training, is in `soft_ranks.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import scipy.stats

from autosurrogate.errors import OptionError, ShapeError
from autosurrogate.rank_correlation.agreement import Agreement

Statistic = Callable[[np.ndarray, np.ndarray], float]

_MAX_DRAWS = 4_000_000  # points drawn in all by one bootstrap: 1,000 resamples of 4,000 points
_MIN_RESAMPLES = 100  # whatever the number of points
_DRAWS_AT_ONCE = 1_000_000  # bounds the memory of one step
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
    a, b = _two_lists("spearman", a, b)
    if not _can_be_ranked(a, b):
        return float("nan")
    return float(_spearman_of(a, b, np.ones((1, len(a)), dtype=np.int64))[0])


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
    a, b = _two_lists("kendall", a, b)
    if not _can_be_ranked(a, b):
        return float("nan")
    return float(scipy.stats.kendalltau(a, b).statistic)


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
    a, b = _two_lists("bootstrap_interval", a, b)
    if n_resamples < 1 or not 0 < confidence < 1:
        raise OptionError(
            f"bootstrap_interval: n_resamples >= 1 and 0 < confidence < 1 must hold, got {n_resamples=}, {confidence=}"
        )
    groups = (len(a),) if groups is None else tuple(groups)
    if sum(groups) != len(a) or (len(a) and min(groups) < 1):
        raise ShapeError(f"bootstrap_interval: groups {groups} are not of the {len(a)} points, 1 or more of each")
    if not _can_be_ranked(a, b):
        return float("nan"), float("nan")
    resampled = _RESAMPLED.get(statistic, _each_resample(statistic))
    n_resamples = min(n_resamples, max(_MIN_RESAMPLES, _MAX_DRAWS // len(a)))
    draws = _resamples(groups, n_resamples, np.random.default_rng(seed))
    values = np.concatenate([resampled(a, b, counts) for counts in draws])
    values = values[~np.isnan(values)]
    if not len(values):
        return float("nan"), float("nan")
    tail = (1 - confidence) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)


def rank_agreement(
    loss_values: np.ndarray,
    metric_values: np.ndarray,
    higher_is_better: bool,
    seed: int = 0,
    groups: Sequence[int] | None = None,
) -> Agreement:
    """Rank correlations, with 95 % intervals, between a loss (lower is better) and a metric.

    Args:
        loss_values: shape (n_points,).
        metric_values: shape (n_points,).
        higher_is_better: of the metric.
        seed: of the bootstrap.
        groups: see `bootstrap_interval`.

    Raises:
        ShapeError: the two are not lists of one length, or `groups` are not of as many points.

    >>> rank_agreement(np.array([0.1, 0.5, 0.9]), np.array([30.0, 20.0, 10.0]), higher_is_better=True).spearman
    1.0
    """
    loss_values, metric_values = _two_lists("rank_agreement", loss_values, metric_values)
    goodness = -loss_values if higher_is_better else loss_values
    return Agreement(
        spearman=spearman(goodness, metric_values),
        spearman_interval=bootstrap_interval(goodness, metric_values, spearman, seed=seed, groups=groups),
        kendall=kendall(goodness, metric_values),
        kendall_interval=bootstrap_interval(goodness, metric_values, kendall, seed=seed, groups=groups),
        n_points=len(metric_values),
    )


def mean_agreement(agreements: Sequence[Agreement]) -> Agreement:
    """The mean over shuffles of the same recorded outputs into sets.

    Correlations are averaged, and so are the ends of the intervals: the shuffles share their rows, hence the
    result is the interval of one shuffle, not a narrower one. `n_points` is that of one shuffle (the smallest,
    should they differ). A correlation that is NaN in one shuffle is NaN in the mean.

    Raises:
        OptionError: `agreements` is empty.
    """
    if not agreements:
        raise OptionError("mean_agreement: expected at least one agreement, got none")

    def mean_interval(intervals: list[tuple[float, float]]) -> tuple[float, float]:
        low, high = np.mean(intervals, axis=0)
        return float(low), float(high)

    return Agreement(
        spearman=float(np.mean([agreement.spearman for agreement in agreements])),
        spearman_interval=mean_interval([agreement.spearman_interval for agreement in agreements]),
        kendall=float(np.mean([agreement.kendall for agreement in agreements])),
        kendall_interval=mean_interval([agreement.kendall_interval for agreement in agreements]),
        n_points=min(agreement.n_points for agreement in agreements),
    )


def _two_lists(who: str, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if a.ndim != 1 or a.shape != b.shape:
        raise ShapeError(f"{who}: expected two arrays of one shape (n_points,), got {a.shape} and {b.shape}")
    return a, b


def _can_be_ranked(a: np.ndarray, b: np.ndarray) -> bool:
    return len(a) > 1 and all(not np.isnan(x).any() and (x != x[0]).any() for x in (a, b))


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


def _spearman_of(a: np.ndarray, b: np.ndarray, counts: np.ndarray) -> np.ndarray:
    rank_a, rank_b = _centred_ranks(a, counts), _centred_ranks(b, counts)
    covariance, variance_a, variance_b = (
        np.einsum("rn,rn,rn->r", counts, x, y) for x, y in ((rank_a, rank_b), (rank_a, rank_a), (rank_b, rank_b))
    )
    return _ratio(covariance, np.sqrt(variance_a * variance_b)).clip(-1, 1)


def _kendall_of(a: np.ndarray, b: np.ndarray, counts: np.ndarray) -> np.ndarray:
    if len(a) > _MAX_POINTS_OF_MATRIX:
        return _each_resample(kendall)(a, b, counts)
    drawn_a, group_a = _group_counts(a, counts)
    drawn_b, group_b = _group_counts(b, counts)
    concordant = np.sign(group_a[:, None] - group_a) * np.sign(group_b[:, None] - group_b)
    # integers below 2**24, so exact in float32
    surplus = np.einsum("rn,rn->r", counts.astype(np.float32) @ concordant.astype(np.float32), counts)
    n_pairs = counts.sum(axis=1) ** 2  # ordered, and with itself: all sums here are twice the usual, and so cancel
    untied_a, untied_b = (n_pairs - np.square(drawn).sum(axis=1) for drawn in (drawn_a, drawn_b))
    return _ratio(surplus, np.sqrt(untied_a * untied_b))


def _each_resample(statistic: Statistic) -> Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]:
    def resampled(a: np.ndarray, b: np.ndarray, counts: np.ndarray) -> np.ndarray:
        rows = (np.repeat(np.arange(len(a)), count) for count in counts)
        return np.array([statistic(a[row], b[row]) for row in rows], dtype=np.float64)

    return resampled


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Their quotient, NaN where the denominator is zero."""
    quotient = np.full(len(numerator), np.nan)
    np.divide(numerator, denominator, out=quotient, where=denominator > 0)
    return quotient


_RESAMPLED: dict[Statistic, Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]] = {
    spearman: _spearman_of,
    kendall: _kendall_of,
}
