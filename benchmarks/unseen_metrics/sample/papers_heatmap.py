"""Metrics of keypoints after papers. Distances are fractions of the longer side of the map."""

from __future__ import annotations

import numpy as np

from autosurrogate import metric

Item = dict[str, np.ndarray]


def points(preds: Item, target: Item) -> tuple[np.ndarray, np.ndarray]:
    """Predicted and true places of the annotated keypoints, both (k, 2)."""
    shown = target["weight"] > 0
    return preds["keypoints"][shown] / target["size"], target["keypoints"][shown] / target["size"]


def distances(preds: Item, target: Item) -> np.ndarray:
    """How far each annotated keypoint is off."""
    found, true = points(preds, target)
    return np.linalg.norm(found - true, axis=1)


def limbs(preds: Item, target: Item) -> tuple[np.ndarray, np.ndarray]:
    """Vectors from each annotated keypoint to the next one, both (k - 1, 2)."""
    found, true = points(preds, target)
    return np.diff(found, axis=0), np.diff(true, axis=0)


@metric(task="heatmap", set_size=16)
def area_under_pck(preds: list[Item], target: list[Item]) -> float:
    """The area under the curve of right keypoints over the threshold, up to a fifth."""
    each = np.concatenate([distances(p, t) for p, t in zip(preds, target, strict=True)])
    return float((1 - each / 0.2).clip(min=0).mean())


@metric(task="heatmap", set_size=16, higher_is_better=False)
def failure_rate(preds: list[Item], target: list[Item]) -> float:
    """The fraction of images with a mean error above 0.08 (Sagonas et al., ICCV workshops 2013)."""
    return float(np.mean([distances(p, t).mean() > 0.08 for p, t in zip(preds, target, strict=True)]))


@metric(task="heatmap", set_size=16)
def correct_parts(preds: list[Item], target: list[Item]) -> float:
    """PCP: limbs whose ends are both within half of the limb's length (Ferrari et al., CVPR 2008)."""
    right = []
    for p, t in zip(preds, target, strict=True):
        off, length = distances(p, t), np.linalg.norm(limbs(p, t)[1], axis=1)
        right += [*(np.maximum(off[:-1], off[1:]) <= 0.5 * length)]
    return float(np.mean(right))


@metric(task="heatmap", set_size=16, higher_is_better=False)
def limb_direction_error(preds: list[Item], target: list[Item]) -> float:
    """The mean angle between predicted and true limbs, in radians."""
    pairs = [limbs(p, t) for p, t in zip(preds, target, strict=True)]
    found, true = (np.concatenate([np.arctan2(v[:, 1], v[:, 0]) for v in each]) for each in zip(*pairs, strict=True))
    return float(np.abs(np.angle(np.exp(1j * (found - true)))).mean())


@metric(task="heatmap", set_size=16, higher_is_better=False)
def limb_length_error(preds: list[Item], target: list[Item]) -> float:
    """The mean error of the lengths of limbs, wherever they are."""
    pairs = [limbs(p, t) for p, t in zip(preds, target, strict=True)]
    found, true = (np.concatenate([np.linalg.norm(v, axis=1) for v in each]) for each in zip(*pairs, strict=True))
    return float(np.abs(found - true).mean())


@metric(task="heatmap", level="sample", higher_is_better=False)
def worst_keypoint(preds: Item, target: Item) -> float:
    """The distance of the keypoint that is farthest off."""
    return float(distances(preds, target).max())


@metric(task="heatmap", set_size=16, higher_is_better=False)
def swapped_keypoints(preds: list[Item], target: list[Item]) -> float:
    """Keypoints that are nearer to another one's place than to their own (Ronchi and Perona, ICCV 2017)."""
    swapped = []
    for p, t in zip(preds, target, strict=True):
        found, true = points(p, t)
        each = np.linalg.norm(found[:, None] - true[None], axis=2)
        swapped += [*(each.min(1) < np.diag(each))]
    return float(np.mean(swapped))


@metric(task="heatmap", set_size=16)
def precision_of_surest_keypoints(preds: list[Item], target: list[Item]) -> float:
    """The fraction within 0.1 among the half of the keypoints with the highest peaks."""
    right = np.concatenate([distances(p, t) <= 0.1 for p, t in zip(preds, target, strict=True)])
    peaks = np.concatenate([p["scores"][t["weight"] > 0] for p, t in zip(preds, target, strict=True)])
    return float(right[np.argsort(-peaks, kind="stable")][: max(1, len(right) // 2)].mean())


@metric(task="heatmap", level="sample", higher_is_better=False)
def centre_error(preds: Item, target: Item) -> float:
    """How far the mean of the keypoints is off, as of root positions."""
    found, true = points(preds, target)
    return float(np.linalg.norm(found.mean(0) - true.mean(0)))
