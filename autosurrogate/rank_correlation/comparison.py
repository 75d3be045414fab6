"""The rank correlations of a loss with a metric, with their intervals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from autosurrogate.errors import OptionError
from autosurrogate.rank_correlation.agreement import Agreement
from autosurrogate.rank_correlation.bootstrap import bootstrap_interval
from autosurrogate.rank_correlation.statistics import kendall, spearman, two_lists


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
    loss_values, metric_values = two_lists("rank_agreement", loss_values, metric_values)
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
