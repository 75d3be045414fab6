"""Metrics of groups by fairlearn; the groups follow from the target."""

from __future__ import annotations

import numpy as np
from fairlearn.metrics import (
    MetricFrame,
    demographic_parity_difference,
    equalized_odds_difference,
    mean_absolute_error_group_max,
)
from sklearn.metrics import accuracy_score

from autosurrogate import metric


@metric(task="classification", set_size=64, higher_is_better=False)
def gap_between_recalls(preds: np.ndarray, target: np.ndarray) -> float:
    """The recall of the best class less that of the worst."""
    frame = MetricFrame(metrics=accuracy_score, y_true=target, y_pred=preds, sensitive_features=target)
    return float(frame.difference())


@metric(task="scores", view="multilabel", set_size=64, higher_is_better=False)
def equalized_odds_gap_between_labels(preds: np.ndarray, target: np.ndarray) -> float:
    """The larger one of the gaps of true and of false positive rates between labels, at 0.5."""
    label = np.broadcast_to(np.arange(target.shape[1]), target.shape)
    return float(equalized_odds_difference(target.ravel(), (preds >= 0.5).ravel(), sensitive_features=label.ravel()))


@metric(task="scores", view="multilabel", set_size=64, higher_is_better=False)
def parity_gap_by_first_label(preds: np.ndarray, target: np.ndarray) -> float:
    """How much more often the last label is predicted in one group than in the other; label 0 is the group."""
    called = preds[:, -1] >= 0.5
    return float(demographic_parity_difference(target[:, -1], called, sensitive_features=target[:, 0]))


@metric(task="values", set_size=64, higher_is_better=False)
def error_of_worst_quarter(preds: np.ndarray, target: np.ndarray) -> float:
    """The mean absolute error of the worst of four groups, from the smallest to the largest targets of column 0."""
    group = np.searchsorted(np.quantile(target[:, 0], [0.25, 0.5, 0.75]), target[:, 0])
    return float(mean_absolute_error_group_max(target[:, 0], preds[:, 0], sensitive_features=group))
