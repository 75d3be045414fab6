"""Metrics of imbalanced-learn."""

from __future__ import annotations

import numpy as np
from imblearn.metrics import (
    geometric_mean_score,
    sensitivity_specificity_support,
)

from autosurrogate import metric


@metric(task="classification")
def geometric_mean_of_recalls(preds: np.ndarray, target: np.ndarray) -> float:
    """The geometric mean of the recalls of all classes; a class that is never found counts 0.01."""
    return float(geometric_mean_score(target, preds, correction=0.01))


@metric(task="scores")
def weaker_of_sensitivity_and_specificity(preds: np.ndarray, target: np.ndarray) -> float:
    """The smaller one of sensitivity and specificity at 0.3."""
    sensitivity, specificity, _ = sensitivity_specificity_support(target, preds >= 0.3, average="binary")
    return float(min(sensitivity, specificity))
