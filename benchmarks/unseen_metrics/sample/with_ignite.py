"""Metrics of pytorch-ignite, each computed at once over a set."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from ignite.metrics import HSIC, MaximumMeanDiscrepancy
from ignite.metrics.regression import (
    CanberraMetric,
    FractionalBias,
    GeometricMeanRelativeAbsoluteError,
)

from autosurrogate import metric


def computed(metric_object: Any, preds: np.ndarray, target: np.ndarray) -> float:
    """The value of a metric of ignite after one update."""
    metric_object.update((torch.as_tensor(preds), torch.as_tensor(target)))
    return float(metric_object.compute())


@metric(task="values", higher_is_better=False)
def canberra_distance(preds: np.ndarray, target: np.ndarray) -> float:
    """The sum of |p - t| / (|p| + |t|), divided by the number of values."""
    return computed(CanberraMetric(), preds.ravel(), target.ravel()) / target.size


@metric(task="values", higher_is_better=False)
def absolute_fractional_bias(preds: np.ndarray, target: np.ndarray) -> float:
    """The size of the mean of 2 (t - p) / (t + p), of values that are shifted to begin at 1."""
    lowest = min(preds.min(), target.min())
    return abs(computed(FractionalBias(), preds.ravel() - lowest + 1, target.ravel() - lowest + 1))


@metric(task="values", higher_is_better=False)
def geometric_relative_error(preds: np.ndarray, target: np.ndarray) -> float:
    """The geometric mean of the errors, each relative to that of predicting the mean."""
    return computed(GeometricMeanRelativeAbsoluteError(), preds.ravel(), target.ravel())


@metric(task="values", set_size=64)
def independence_criterion(preds: np.ndarray, target: np.ndarray) -> float:
    """The Hilbert-Schmidt independence criterion of preds and target."""
    return computed(HSIC(sigma_x=1.0, sigma_y=1.0), preds.astype(np.float32), target.astype(np.float32))


@metric(task="values", set_size=64, higher_is_better=False)
def mean_discrepancy(preds: np.ndarray, target: np.ndarray) -> float:
    """The maximum mean discrepancy between the distributions of preds and target; which is whose does not matter."""
    return computed(MaximumMeanDiscrepancy(), preds.astype(np.float32), target.astype(np.float32))
