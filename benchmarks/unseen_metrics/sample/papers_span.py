"""Metrics of spans after papers."""

from __future__ import annotations

import numpy as np

from autosurrogate import metric


def overlaps(preds: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The intersection over union of each pair of spans."""
    both = np.minimum(preds[:, 1], target[:, 1]) - np.maximum(preds[:, 0], target[:, 0]) + 1
    either = np.maximum(preds[:, 1], target[:, 1]) - np.minimum(preds[:, 0], target[:, 0]) + 1
    return np.maximum(both, 0) / either


@metric(task="span", set_size=64)
def recall_at_half_overlap(preds: np.ndarray, target: np.ndarray) -> float:
    """R@1, IoU=0.5 of temporal grounding (Gao et al., ICCV 2017)."""
    return float((overlaps(preds, target) >= 0.5).mean())


@metric(task="span", set_size=64)
def discounted_recall(preds: np.ndarray, target: np.ndarray) -> float:
    """dR@1, IoU=0.3: hits discounted by the errors of start and end (Yuan et al., 2021, arXiv 2101.09028)."""
    length = max(preds.max(), target.max()) + 1
    discount = (1 - np.abs(preds - target) / length).prod(1)
    return float(((overlaps(preds, target) >= 0.3) * discount).mean())


@metric(task="span", level="sample")
def generalized_overlap(preds: np.ndarray, target: np.ndarray) -> float:
    """Generalised IoU in one dimension, which a gap lowers (Rezatofighi et al., CVPR 2019)."""
    hull = max(preds[1], target[1]) - min(preds[0], target[0]) + 1
    both = max(0, min(preds[1], target[1]) - max(preds[0], target[0]) + 1)
    union = (preds[1] - preds[0] + 1) + (target[1] - target[0] + 1) - both
    return float(both / union - (hull - union) / hull)


@metric(task="span", set_size=64)
def bounds_within_two(preds: np.ndarray, target: np.ndarray) -> float:
    """The fraction of starts and ends that are at most two positions off."""
    return float((np.abs(preds - target) <= 2).mean())


@metric(task="span", set_size=64, higher_is_better=False)
def cost_of_late_ends(preds: np.ndarray, target: np.ndarray) -> float:
    """Errors of both bounds in positions; an end that is too late costs three times as much, each at most 20."""
    start, end = (preds - target).T
    return float((np.abs(start) + np.where(end > 0, 3 * end, -end)).clip(max=20).mean())


@metric(task="span", set_size=64)
def containment(preds: np.ndarray, target: np.ndarray) -> float:
    """How often the predicted span holds all of the true one and is at most twice as long."""
    holds = (preds[:, 0] <= target[:, 0]) & (preds[:, 1] >= target[:, 1])
    lengths = [x[:, 1] - x[:, 0] + 1 for x in (preds, target)]
    return float((holds & (lengths[0] <= 2 * lengths[1])).mean())


@metric(task="span", view="text", level="sample")
def jaccard_of_words(preds: str, target: list[str]) -> float:
    """The Jaccard index of the sets of words with the first answer (Kaggle, tweet sentiment extraction)."""
    found, true = set(preds.lower().split()), set(target[0].lower().split())
    return len(found & true) / max(1, len(found | true))
