"""Metrics of classification after papers."""

from __future__ import annotations

import numpy as np

from autosurrogate import metric


def confusion(preds: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Counts by true class and predicted class."""
    n = int(max(preds.max(), target.max())) + 1
    counts = np.zeros((n, n))
    np.add.at(counts, (target, preds), 1)
    return counts


@metric(task="classification", view="probabilities", higher_is_better=False)
def area_under_risk_coverage(preds: np.ndarray, target: np.ndarray) -> float:
    """The mean error among the k surest examples over all k (Geifman et al., ICLR 2019)."""
    wrong = (preds.argmax(1) != target)[np.argsort(-preds.max(1), kind="stable")]
    return float((np.cumsum(wrong) / np.arange(1, len(wrong) + 1)).mean())


@metric(task="classification", view="probabilities", set_size=256, higher_is_better=False)
def adaptive_calibration_error(preds: np.ndarray, target: np.ndarray) -> float:
    """The gap between confidence and accuracy in ten bins of equal counts (Nixon et al., CVPR workshops 2019)."""
    confidence, right = preds.max(1), preds.argmax(1) == target
    bins = np.array_split(np.argsort(confidence, kind="stable"), 10)
    gaps = [len(rows) * abs(confidence[rows].mean() - right[rows].mean()) for rows in bins if len(rows)]
    return float(np.sum(gaps) / len(target))


@metric(task="classification", view="probabilities")
def spherical_score(preds: np.ndarray, target: np.ndarray) -> float:
    """The target's probability divided by the norm of all (Gneiting and Raftery, JASA 2007)."""
    return float((preds[np.arange(len(target)), target] / np.linalg.norm(preds, axis=1)).mean())


@metric(task="classification", view="probabilities")
def adjusted_mean_rank_index(preds: np.ndarray, target: np.ndarray) -> float:
    """The mean rank of the true class, adjusted for chance, 1 is best (Berrendorf et al., 2020, arXiv 2002.06914)."""
    own = preds[np.arange(len(target)), target][:, None]
    rank = 1 + (preds > own).sum(1) + 0.5 * ((preds == own).sum(1) - 1)
    return float(1 - (rank.mean() - 1) / ((preds.shape[1] + 1) / 2 - 1))


@metric(task="classification")
def entropy_modulated_accuracy(preds: np.ndarray, target: np.ndarray) -> float:
    """1 / the perplexity of the target once the prediction is known (Valverde-Albacete, PLOS ONE 2014)."""
    joint = confusion(preds, target) / len(target)
    conditional = joint / np.maximum(joint.sum(0), 1e-12)
    return float(2.0 ** (joint * np.log2(np.maximum(conditional, 1e-12))).sum())


@metric(task="classification", higher_is_better=False)
def confusion_entropy(preds: np.ndarray, target: np.ndarray) -> float:
    """How evenly wrong predictions are spread over the other classes (Wei et al., Expert Systems 2010)."""
    counts = confusion(preds, target)
    n, totals = len(counts), np.maximum(counts.sum(0) + counts.sum(1), 1e-12)
    wrong = counts * (1 - np.eye(n))
    terms = [p * np.log(np.maximum(p, 1e-12)) for p in (wrong / totals[:, None], wrong / totals[None])]
    by_class = -(terms[0].sum(1) + terms[1].sum(0)) / np.log(max(2, 2 * (n - 1)))
    return float((by_class * totals).sum() / (2 * len(target)))


@metric(task="classification", higher_is_better=False)
def quantification_error(preds: np.ndarray, target: np.ndarray) -> float:
    """Normalised absolute error of the classes' frequencies (Sebastiani, Information Retrieval 2020)."""
    n = int(max(preds.max(), target.max())) + 1
    found, true = (np.bincount(x, minlength=n) / len(x) for x in (preds, target))
    return float(np.abs(found - true).sum() / (2 * (1 - true[true > 0].min()) + 1e-9))


@metric(task="classification", higher_is_better=False)
def macro_ordinal_error(preds: np.ndarray, target: np.ndarray) -> float:
    """The error of ordered classes, |predicted - true|, averaged over the classes (Baccianella et al., ISDA 2009)."""
    return float(np.mean([np.abs(preds[target == c] - c).mean() for c in np.unique(target)]))


@metric(task="classification", higher_is_better=False)
def cost_of_distant_classes(preds: np.ndarray, target: np.ndarray) -> float:
    """A miss costs 1 and a tenth for each class between, at most 3; class 0 costs five times as much."""
    distance = np.abs(preds - target)
    cost = np.where(distance > 0, np.minimum(0.9 + 0.1 * distance, 3.0), 0.0) * np.where(target == 0, 5.0, 1.0)
    return float(cost.mean())


@metric(task="classification")
def worst_fifth_of_recalls(preds: np.ndarray, target: np.ndarray) -> float:
    """The mean recall of the worst fifth of the classes, as in worst-group evaluation (Sagawa et al., ICLR 2020)."""
    recalls = np.sort([(preds[target == c] == c).mean() for c in np.unique(target)])
    return float(recalls[: max(1, len(recalls) // 5)].mean())
