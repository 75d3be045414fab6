"""Metrics of binary scores after papers."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import precision_recall_curve, roc_auc_score, roc_curve

from autosurrogate import metric


@metric(task="scores", set_size=256)
def partial_auc(preds: np.ndarray, target: np.ndarray) -> float:
    """The area under the ROC curve up to a false-positive rate of 0.1, standardised (McClish, 1989)."""
    return float(roc_auc_score(target, preds, max_fpr=0.1))


@metric(task="scores", set_size=256)
def early_recognition(preds: np.ndarray, target: np.ndarray) -> float:
    """BEDROC with alpha 20: positives count exponentially more at the top (Truchon and Bayly, 2007)."""
    n, n_positive, alpha = len(target), int(target.sum()), 20.0
    if n_positive in (0, n):
        return float("nan")
    ranks = 1 + np.flatnonzero(target[np.argsort(-preds, kind="stable")])
    share = n_positive / n
    expected = share * (1 - np.exp(-alpha)) / (np.exp(alpha / n) - 1)
    rie = np.exp(-alpha * ranks / n).sum() / expected
    scale = share * np.sinh(alpha / 2) / (np.cosh(alpha / 2) - np.cosh(alpha / 2 - alpha * share))
    return float(rie * scale + 1 / (1 - np.exp(alpha * (1 - share))))


@metric(task="scores", set_size=256)
def net_benefit(preds: np.ndarray, target: np.ndarray) -> float:
    """True positives less a ninth of false positives at a threshold of 0.1, per example (Vickers and Elkin, 2006)."""
    called = preds >= 0.1
    return float((called & (target == 1)).mean() - (called & (target == 0)).mean() * 0.1 / 0.9)


@metric(task="scores", set_size=256)
def discrimination_coefficient(preds: np.ndarray, target: np.ndarray) -> float:
    """The mean probability of positives less that of negatives (Tjur, 2009)."""
    return float(preds[target == 1].mean() - preds[target == 0].mean())


@metric(task="scores")
def p4(preds: np.ndarray, target: np.ndarray) -> float:
    """The harmonic mean of precision, recall, specificity and negative predictive value (Sitarz, 2022)."""
    called, true = preds >= 0.5, target == 1
    tp, fp = (called & true).sum(), (called & ~true).sum()
    fn, tn = (~called & true).sum(), (~called & ~true).sum()
    return float(4 * tp * tn / max(1, 4 * tp * tn + (tp + tn) * (fp + fn)))


@metric(task="scores", set_size=256, higher_is_better=False)
def minimum_detection_cost(preds: np.ndarray, target: np.ndarray) -> float:
    """The cost of misses and false alarms with a prior of 0.05, at the best threshold (VoxSRC 2020)."""
    false_alarms, hits, _ = roc_curve(target, preds)
    return float(np.min((1 - hits) + false_alarms * 0.95 / 0.05).clip(max=1.0))


@metric(task="scores")
def f1_at_best_threshold(preds: np.ndarray, target: np.ndarray) -> float:
    """The largest F1 over all thresholds, as in anomaly detection (Jeong et al., CVPR 2023)."""
    precision, recall, _ = precision_recall_curve(target, preds)
    return float((2 * precision * recall / np.maximum(precision + recall, 1e-12)).max())


@metric(task="scores", set_size=256, higher_is_better=False)
def false_positives_at_95_recall(preds: np.ndarray, target: np.ndarray) -> float:
    """The false-positive rate at a recall of 0.95, as in out-of-distribution detection (Liang et al., ICLR 2018)."""
    threshold = np.quantile(preds[target == 1], 0.05, method="lower")
    return float((preds[target == 0] >= threshold).mean())


@metric(task="scores", set_size=256)
def lift_of_top_decile(preds: np.ndarray, target: np.ndarray) -> float:
    """The fraction of positives among the tenth with the largest scores, relative to all (Ling and Li, KDD 1998)."""
    top = np.argsort(-preds, kind="stable")[: max(1, len(preds) // 10)]
    return float(target[top].mean() / target.mean()) if target.any() else float("nan")
