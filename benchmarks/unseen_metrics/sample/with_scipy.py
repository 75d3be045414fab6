"""Statistics of scipy as metrics."""

from __future__ import annotations

import numpy as np
from scipy.spatial import procrustes
from scipy.spatial.distance import cosine, directed_hausdorff
from scipy.stats import ks_2samp, wasserstein_distance, weightedtau

from autosurrogate import metric


@metric(task="ranking", level="sample")
def weighted_tau(preds: np.ndarray, target: np.ndarray) -> float:
    """Kendall's tau with hyperbolic weights, so that exchanges at the top count most (Vigna, WWW 2015)."""
    return float(weightedtau(preds, target, rank=None).statistic)


@metric(task="scores")
def kolmogorov_smirnov(preds: np.ndarray, target: np.ndarray) -> float:
    """The largest distance between the distributions of the scores of both classes, as in credit scoring."""
    if target.min() == target.max():
        return float("nan")
    return float(ks_2samp(preds[target == 1], preds[target == 0], method="asymp").statistic)


@metric(task="values", higher_is_better=False)
def earth_movers_distance(preds: np.ndarray, target: np.ndarray) -> float:
    """The distance between the distributions of predictions and targets, the mean over the columns."""
    return float(np.mean([wasserstein_distance(p, t) for p, t in zip(preds.T, target.T, strict=True)]))


@metric(task="values", level="sample", higher_is_better=False)
def cosine_distance(preds: np.ndarray, target: np.ndarray) -> float:
    """1 less the cosine of the angle between two vectors."""
    return float(cosine(preds, target))


@metric(task="heatmap", level="sample", higher_is_better=False)
def error_after_alignment(preds: dict[str, np.ndarray], target: dict[str, np.ndarray]) -> float:
    """The squared error of keypoints after the best shift, rotation and scaling (Procrustes)."""
    shown = target["weight"] > 0
    if len(np.unique(preds["keypoints"][shown], axis=0)) < 2 or len(np.unique(target["keypoints"][shown], axis=0)) < 2:
        return 1.0
    return float(procrustes(target["keypoints"][shown], preds["keypoints"][shown])[2])


@metric(task="heatmap", level="sample", higher_is_better=False)
def hausdorff_of_keypoints(preds: dict[str, np.ndarray], target: dict[str, np.ndarray]) -> float:
    """The Hausdorff distance of both sets of points as a fraction of the map: which point is which does not matter."""
    shown = target["weight"] > 0
    found, true = preds["keypoints"][shown], target["keypoints"][shown]
    return max(directed_hausdorff(found, true)[0], directed_hausdorff(true, found)[0]) / float(target["size"])
