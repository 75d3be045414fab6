"""Metrics of regression by permetrics."""

from __future__ import annotations

import numpy as np
from permetrics import RegressionMetric

from autosurrogate import metric


@metric(task="values")
def within_a_fifth(preds: np.ndarray, target: np.ndarray) -> float:
    """The A20 index: the fraction of predictions within 20 % of the target."""
    return float(np.mean(RegressionMetric(target, preds).A20()))


@metric(task="values")
def changes_in_the_same_direction(preds: np.ndarray, target: np.ndarray) -> float:
    """Prediction of change in direction, from one example to the next."""
    return float(np.mean(RegressionMetric(target, preds).PCD()))
