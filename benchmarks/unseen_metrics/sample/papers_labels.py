"""Metrics of several labels after papers."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import label_ranking_average_precision_score, roc_auc_score

from autosurrogate import metric


@metric(task="scores", view="multilabel", set_size=64, higher_is_better=False)
def one_error(preds: np.ndarray, target: np.ndarray) -> float:
    """How often the top label is not one of the right ones (Schapire and Singer, Machine Learning 2000)."""
    top = target[np.arange(len(target)), preds.argmax(1)]
    return float(1 - top[target.any(1)].mean())


@metric(task="scores", view="multilabel", set_size=64)
def label_ranking_precision(preds: np.ndarray, target: np.ndarray) -> float:
    """Average precision of the labels of an example (Tsoumakas et al., 2010)."""
    return float(label_ranking_average_precision_score(target, preds))


@metric(task="scores", view="multilabel", set_size=64)
def propensity_scored_precision(preds: np.ndarray, target: np.ndarray) -> float:
    """Precision at 1 where rare labels count more, relative to the best possible (Jain et al., KDD 2016)."""
    n = len(target)
    weight = 1 + max(0.0, np.log(n) - 1) * 2.5**0.55 * (target.sum(0) + 1.5) ** -0.55
    gain = target * weight
    found = gain[np.arange(n), preds.argmax(1)].sum()
    return float(found / max(gain.max(1).sum(), 1e-9))


@metric(task="scores", view="multilabel", set_size=64)
def auc_of_worst_label(preds: np.ndarray, target: np.ndarray) -> float:
    """The smallest area under the ROC curve of a label that has both classes (Zong et al., ICLR 2023)."""
    both = (target.any(0)) & (~target.all(0))
    return float(min(roc_auc_score(t, p) for t, p in zip(target.T[both], preds.T[both], strict=True)))


@metric(task="scores", view="multilabel", level="sample", higher_is_better=False)
def coverage_depth(preds: np.ndarray, target: np.ndarray) -> float:
    """How deep one goes to cover all right labels, as a fraction of all (Schapire and Singer, 2000)."""
    if not target.any():
        return 0.0
    return float((preds >= preds[target == 1].min()).sum() / len(target))


@metric(task="scores", view="multilabel", set_size=64, higher_is_better=False)
def label_cardinality_error(preds: np.ndarray, target: np.ndarray) -> float:
    """The mean error of the number of labels that are predicted (Read et al., Machine Learning 2011)."""
    return float(np.abs((preds >= 0.5).sum(1) - target.sum(1)).mean())
