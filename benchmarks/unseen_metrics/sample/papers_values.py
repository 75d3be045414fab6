"""Metrics of regression after papers."""

from __future__ import annotations

import numpy as np

from autosurrogate import metric


@metric(task="values", higher_is_better=False)
def circular_error(preds: np.ndarray, target: np.ndarray) -> float:
    """1 - cos of the errors of angles in radians (Mardia and Jupp, Directional Statistics, 2000)."""
    return float((1 - np.cos(preds - target)).mean())


@metric(task="values")
def top_tenth_found(preds: np.ndarray, target: np.ndarray) -> float:
    """How much of the tenth with the largest targets of column 0 is in the tenth with the largest predictions."""
    n = max(1, len(target) // 10)
    top = [set(np.argsort(-x[:, 0], kind="stable")[:n].tolist()) for x in (preds, target)]
    return len(top[0] & top[1]) / n


@metric(task="values", higher_is_better=False)
def expected_shortfall(preds: np.ndarray, target: np.ndarray) -> float:
    """The mean of the largest tenth of the absolute errors (Rockafellar and Uryasev, 2000)."""
    errors = np.sort(np.abs(preds - target).ravel())
    return float(errors[-max(1, len(errors) // 10) :].mean())


@metric(task="values", set_size=64)
def distance_correlation(preds: np.ndarray, target: np.ndarray) -> float:
    """Distance correlation, which sees dependence of any form (Székely et al., Annals of Statistics 2007)."""
    centred = []
    for x in (preds, target):
        d = np.linalg.norm(x[:, None] - x[None], axis=2)
        centred.append(d - d.mean(0) - d.mean(1)[:, None] + d.mean())
    a, b = centred
    return float(np.sqrt(max(0.0, (a * b).mean()) / max(np.sqrt((a * a).mean() * (b * b).mean()), 1e-12)))


@metric(task="values", higher_is_better=False)
def limits_of_agreement(preds: np.ndarray, target: np.ndarray) -> float:
    """The width of the interval that holds 95 % of the differences, the mean over columns (Bland and Altman, 1986)."""
    return float(2 * 1.96 * (preds - target).std(0, ddof=1).mean())


@metric(task="values")
def within_quarter_deviation(preds: np.ndarray, target: np.ndarray) -> float:
    """The fraction of predictions within a quarter of the target's standard deviation."""
    return float((np.abs(preds - target) <= 0.25 * target.std(0)).mean())
