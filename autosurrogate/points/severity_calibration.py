"""How severe generated points are, so that the metric's values cover their range evenly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import nnls

from autosurrogate.rank_correlation.statistics import spearman
from autosurrogate.registry.metric_type import Metric

N_LEVELS = 17
N_BINS = 10
MIN_CORRELATION = 0.3  # of severity and values, from which they show the metric's direction
EVENNESS = 0.1  # price of unequal weights of severities


@dataclass(frozen=True)
class Severities:
    """A distribution of severities under which the metric's values cover their range evenly.

    Args:
        levels: severities in [0, 1], ascending.
        weights: how often each is drawn, up to a factor; not negative.
    """

    levels: tuple[float, ...]
    weights: tuple[float, ...]

    def draw(self, n_points: int, generator: torch.Generator) -> torch.Tensor:
        """Severities, shape (n_points,): a level, plus uniform noise of up to half the distance to the next level."""
        level = torch.multinomial(torch.tensor(self.weights), n_points, replacement=True, generator=generator)
        noise = (torch.rand(n_points, generator=generator) - 0.5) / (N_LEVELS - 1)
        return (torch.tensor(self.levels)[level] + noise).clamp(0, 1)


def calibrate(severity: np.ndarray, values: np.ndarray) -> Severities:
    """The distribution of severities from labelled pilot points; NaN values are left out.

    The weights are not negative and bring the histogram of the values, over equal bins, closest to an even one
    (non-negative least squares), at a small price for weights that are unequal.

    Args:
        severity: of each pilot point, shape (n_points,).
        values: the metric's, shape (n_points,).
    """
    severity, values = severity[np.isfinite(values)], values[np.isfinite(values)]
    levels = np.unique(severity)
    edges = np.linspace(values.min(), values.max(), N_BINS + 1)
    counts = np.stack([np.histogram(values[severity == level], edges)[0] for level in levels], 1)
    even = np.concatenate([np.full(N_BINS, 1 / N_BINS), np.full(len(levels), EVENNESS / len(levels))])
    weights, _ = nnls(np.concatenate([counts / counts.sum(0), EVENNESS * np.eye(len(levels))]), even)
    return Severities(tuple(levels.tolist()), tuple(weights.tolist()))


def coverage(values: np.ndarray) -> float:
    """How evenly values fill the range from the smallest to the largest of them.

    Returns:
        In (0, 1]: the exponential of the entropy over ten equal bins, divided by ten. 1 where all bins hold as many.

    >>> round(coverage(np.linspace(0, 1, 100)), 3), round(coverage(np.array([0.0, 0.0, 0.0, 1.0])), 3)
    (1.0, 0.175)
    """
    if np.ptp(values) <= 1e-12 * np.abs(values).max():  # equal but for rounding
        return 1 / N_BINS
    counts = np.histogram(values, N_BINS)[0]
    probabilities = counts[counts > 0] / counts.sum()
    return float(np.exp(-(probabilities * np.log(probabilities)).sum()) / N_BINS)


def wrong_direction(metric: Metric, severity: np.ndarray, values: np.ndarray) -> str | None:
    """What speaks against the declared direction of a metric, from labelled pilot points; None if nothing does."""
    finite = np.isfinite(values)
    easy, hard = (values[finite & of_kind] for of_kind in (severity <= 1 / 8, severity >= 7 / 8))
    if not len(easy) or not len(hard) or abs(spearman(severity[finite], values[finite])) < MIN_CORRELATION:
        return None
    if (easy.mean() > hard.mean()) == metric.higher_is_better:
        return None
    better = "higher" if metric.higher_is_better else "lower"
    return (
        f"{better} is declared to be better, but its mean is {easy.mean():.4g} on the easiest generated points and "
        f"{hard.mean():.4g} on the hardest; is higher_is_better right, and does it take preds first, then target?"
    )
