"""Metrics of detection after papers."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from autosurrogate import metric

Item = dict[str, np.ndarray]


def overlaps(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The IoU of each box of a with each of b, (len(a), len(b))."""
    low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    both = (high - low).clip(min=0).prod(2)
    areas = [(x[:, 2:] - x[:, :2]).clip(min=0).prod(1) for x in (a, b)]
    return both / np.maximum(areas[0][:, None] + areas[1][None] - both, 1e-9)


def matched(p: Item, t: Item, threshold: float = 0.5, classes: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Scores of an image's detections from the surest on, and the IoU of each with its box, 0 without one."""
    order = np.argsort(-p["scores"], kind="stable")
    iou = overlaps(p["boxes"][order], t["boxes"])
    if classes:
        iou *= p["labels"][order][:, None] == t["labels"][None]
    found = np.zeros(len(order))
    for i in range(len(order)):
        if len(t["boxes"]) and iou[i].max() >= threshold:
            found[i] = iou[i].max()
            iou[:, iou[i].argmax()] = 0
    return p["scores"][order], found


def pooled(preds: list[Item], target: list[Item], **options: Any) -> tuple[np.ndarray, np.ndarray, int]:
    """Scores of all detections and IoU with their boxes, the surest first, and the number of true boxes."""
    pairs = [matched(p, t, **options) for p, t in zip(preds, target, strict=True)]
    scores, found = (np.concatenate(each) for each in zip(*pairs, strict=True))
    order = np.argsort(-scores, kind="stable")
    return scores[order], found[order], sum(len(t["boxes"]) for t in target)


def sure(p: Item, threshold: float = 0.5) -> Item:
    """The detections with at least some score."""
    return {name: values[p["scores"] >= threshold] for name, values in p.items()}


@metric(task="detection", set_size=16)
def f1_of_sure_detections(preds: list[Item], target: list[Item]) -> float:
    """F1 at a score of 0.5 and an IoU of 0.5."""
    _, found, n_true = pooled([sure(p) for p in preds], target)
    return 2 * float((found > 0).sum()) / max(1, len(found) + n_true)


@metric(task="detection", set_size=16, higher_is_better=False)
def localization_recall_precision(preds: list[Item], target: list[Item]) -> float:
    """LRP at a score of 0.5: misses, false alarms and loose boxes in one error (Oksuz et al., ECCV 2018)."""
    _, found, n_true = pooled([sure(p) for p in preds], target)
    hits = found > 0
    n_wrong = len(found) + n_true - 2 * hits.sum()
    return float((((1 - found[hits]) / 0.5).sum() + n_wrong) / max(1, hits.sum() + n_wrong))


@metric(task="detection", set_size=16, higher_is_better=False)
def counting_error(preds: list[Item], target: list[Item]) -> float:
    """The mean error of the number of objects, of detections with a score of 0.5."""
    return float(np.mean([abs(len(sure(p)["scores"]) - len(t["boxes"])) for p, t in zip(preds, target, strict=True)]))


@metric(task="detection", set_size=16)
def froc(preds: list[Item], target: list[Item]) -> float:
    """The mean sensitivity at 1/4, 1/2, 1, 2 and 4 false positives an image (Setio et al., 2017)."""
    _, found, n_true = pooled(preds, target, classes=False)
    hits, false = np.cumsum(found > 0), np.cumsum(found == 0) / len(target)
    at = [hits[false <= rate].max(initial=0) for rate in (0.25, 0.5, 1, 2, 4)]
    return float(np.mean(at) / max(1, n_true))


@metric(task="detection", set_size=16, higher_is_better=False)
def log_average_miss_rate(preds: list[Item], target: list[Item]) -> float:
    """The geometric mean of the miss rates at 0.01 to 1 false positives an image (Dollár et al., PAMI 2012)."""
    _, found, n_true = pooled(preds, target, classes=False)
    hits, false = np.cumsum(found > 0), np.cumsum(found == 0) / len(target)
    rates = [1 - hits[false <= rate].max(initial=0) / max(1, n_true) for rate in np.logspace(-2, 0, 9)]
    return float(np.exp(np.mean(np.log(np.maximum(rates, 1e-3)))))


@metric(task="detection", level="sample", higher_is_better=False)
def ospa(preds: Item, target: Item) -> float:
    """OSPA: optimal assignment of boxes at a cost of 1 - IoU, and 1 for each without (Schuhmacher et al., 2008)."""
    p = sure(preds)
    n_found, n_true = len(p["boxes"]), len(target["boxes"])
    if max(n_found, n_true) == 0:
        return 0.0
    cost = 1 - overlaps(p["boxes"], target["boxes"])
    assigned = cost[linear_sum_assignment(cost)].sum() if min(n_found, n_true) else 0.0
    return float((assigned + abs(n_found - n_true)) / max(n_found, n_true))


@metric(task="detection", set_size=16)
def pointing_game(preds: list[Item], target: list[Item]) -> float:
    """How often the centre of the surest detection lies in a true box of its class (Zhang et al., ECCV 2016)."""
    hits = []
    for p, t in zip(preds, target, strict=True):
        if len(t["boxes"]) and len(p["scores"]):
            best = p["scores"].argmax()
            centre, same = (p["boxes"][best, :2] + p["boxes"][best, 2:]) / 2, t["labels"] == p["labels"][best]
            inside = (t["boxes"][:, :2] <= centre).all(1) & (centre <= t["boxes"][:, 2:]).all(1)
            hits.append((inside & same).any())
    return float(np.mean(hits)) if hits else float("nan")


@metric(task="detection", set_size=16)
def recall_of_small_objects(preds: list[Item], target: list[Item]) -> float:
    """Recall at an IoU of 0.5 of the smaller half of the true boxes, whatever the scores."""
    areas = np.concatenate([(t["boxes"][:, 2:] - t["boxes"][:, :2]).prod(1) for t in target])
    best = [overlaps(p["boxes"], t["boxes"]).max(0, initial=0) for p, t in zip(preds, target, strict=True)]
    small = areas <= np.median(areas)
    return float((np.concatenate(best)[small] >= 0.5).mean())


@metric(task="detection", set_size=16)
def eleven_point_precision(preds: list[Item], target: list[Item]) -> float:
    """Interpolated average precision at eleven recalls, all classes pooled (Everingham et al., IJCV 2010)."""
    _, found, n_true = pooled(preds, target)
    hits = np.cumsum(found > 0)
    precision, recall = hits / np.arange(1, len(hits) + 1), hits / max(1, n_true)
    return float(np.mean([precision[recall >= r].max(initial=0) for r in np.linspace(0, 1, 11)]))


@metric(task="detection", set_size=16, higher_is_better=False)
def duplicates_per_object(preds: list[Item], target: list[Item]) -> float:
    """Sure detections of an object beyond the first, per object (Bolya et al., ECCV 2020)."""
    n_found = [(overlaps(sure(p)["boxes"], t["boxes"]) >= 0.5).sum(0) for p, t in zip(preds, target, strict=True)]
    return float((np.concatenate(n_found) - 1).clip(min=0).mean())


@metric(task="detection", set_size=16)
def detection_accuracy(preds: list[Item], target: list[Item]) -> float:
    """MODA: 1 less misses and false alarms per object, at least -1 (Kasturi et al., PAMI 2009)."""
    _, found, n_true = pooled([sure(p) for p in preds], target, classes=False)
    return max(-1.0, 1 - float(len(found) + n_true - 2 * (found > 0).sum()) / max(1, n_true))


@metric(task="detection", set_size=16)
def class_of_nearest_detection(preds: list[Item], target: list[Item]) -> float:
    """How often the detection that overlaps an object best has its class."""
    right = [
        p["labels"][overlaps(p["boxes"], t["boxes"]).argmax(0)] == t["labels"]
        for p, t in zip(preds, target, strict=True)
        if len(p["boxes"])
    ]
    return float(np.concatenate(right).mean())
