"""The rank correlations of a loss with a metric, as a record."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Agreement:
    """How well a loss orders points as a metric does; positive means agreement.

    Args:
        spearman: Spearman's rank correlation, in [-1, 1]; NaN where it is not defined.
        spearman_interval: its bootstrap 95 % interval, (low, high).
        kendall: Kendall's tau-b, in [-1, 1]; NaN where it is not defined.
        kendall_interval: its bootstrap 95 % interval, (low, high).
        n_points: number of points compared.
    """

    spearman: float
    spearman_interval: tuple[float, float]
    kendall: float
    kendall_interval: tuple[float, float]
    n_points: int
