"""Paired differences of trainings from the same seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.stats


@dataclass(frozen=True)
class Difference:
    """How much better one loss is than another, over seeds that both were trained from.

    Args:
        mean: positive for better, in the metric's unit.
        interval: its 95 % t interval.
        p: of a two-sided paired t test.
        n: seeds.
    """

    mean: float
    interval: tuple[float, float]
    p: float
    n: int


def paired(better: Sequence[float], worse: Sequence[float]) -> Difference:
    """The paired difference of two lists in the order of the same seeds, where larger is better.

    >>> found = paired([2.0, 3.0, 4.0], [1.0, 1.0, 1.0])
    >>> found.mean, [round(end, 2) for end in found.interval], round(found.p, 3)
    (2.0, [-0.48, 4.48], 0.074)
    """
    differences = np.asarray(better, np.float64) - np.asarray(worse, np.float64)
    mean, n = float(differences.mean()), len(differences)
    error = float(differences.std(ddof=1)) / n**0.5 if n > 1 else float("nan")
    if error == 0.0:
        return Difference(mean, (mean, mean), 1.0 if mean == 0 else 0.0, n)
    half = float(scipy.stats.t.ppf(0.975, n - 1)) * error if n > 1 else float("nan")
    p = float(2 * scipy.stats.t.sf(abs(mean) / error, n - 1)) if n > 1 else float("nan")
    return Difference(mean, (mean - half, mean + half), p, n)


def holm(ps: Sequence[float]) -> list[float]:
    """The p values corrected for their number (Holm, Scandinavian Journal of Statistics 1979), in the same order.

    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(ps)), key=lambda i: ps[i])
    corrected, largest = [0.0] * len(ps), 0.0
    for k, i in enumerate(order):
        largest = max(largest, min(1.0, (len(ps) - k) * ps[i]))
        corrected[i] = largest
    return corrected
