"""Metrics of torcheval."""

from __future__ import annotations

import numpy as np
import torch
from torcheval.metrics import functional

from autosurrogate import metric


@metric(task="classification", view="probabilities")
def macro_auprc(preds: np.ndarray, target: np.ndarray) -> float:
    """The area under the precision-recall curve, the mean over the classes that occur."""
    areas = functional.multiclass_auprc(
        torch.as_tensor(preds), torch.as_tensor(target), num_classes=preds.shape[1], average=None
    )
    return float(areas[np.unique(target)].mean())


@metric(task="scores", set_size=256)
def recall_at_half_precision(preds: np.ndarray, target: np.ndarray) -> float:
    """The largest recall at which precision is 0.5 or more."""
    best, _ = functional.binary_recall_at_fixed_precision(
        torch.as_tensor(preds), torch.as_tensor(target), min_precision=0.5
    )
    return float(best)


@metric(task="scores", set_size=256, higher_is_better=False)
def normalized_entropy(preds: np.ndarray, target: np.ndarray) -> float:
    """Cross-entropy divided by that of the base rate, as of click-through rates."""
    return float(functional.binary_normalized_entropy(torch.as_tensor(preds), torch.as_tensor(target).double()))


@metric(task="scores", set_size=256, higher_is_better=False)
def log_calibration_ratio(preds: np.ndarray, target: np.ndarray) -> float:
    """How far the number of predicted positives is from the number of positives, as a factor, in logarithm."""
    ratio = functional.weighted_calibration(torch.as_tensor(preds), torch.as_tensor(target).double())
    return float(ratio.log().abs())


@metric(task="ranking", level="sample")
def precision_at_5_of_short_lists(preds: np.ndarray, target: np.ndarray) -> float:
    """Precision at 5, divided by what is possible in a shorter list."""
    return float(
        functional.retrieval_precision(
            torch.as_tensor(preds), (torch.as_tensor(target) > 0).long(), k=5, limit_k_to_size=True
        )
    )
