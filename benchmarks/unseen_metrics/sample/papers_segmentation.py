"""Metrics of segmentation after papers. The foreground is all classes but 0."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from autosurrogate import metric


def edge(mask: np.ndarray, width: int) -> np.ndarray:
    """The pixels of a mask within some pixels of its boundary."""
    return mask & ~ndimage.binary_erosion(mask, np.ones((3, 3)), iterations=width)


def class_overlaps(preds: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Intersection over union and number of pixels of each class of the target."""
    labelled = target >= 0
    p, t = preds[labelled], target[labelled]
    classes = np.unique(t)
    overlaps = [((p == c) & (t == c)).sum() / ((p == c) | (t == c)).sum() for c in classes]
    return np.array(overlaps), np.array([(t == c).sum() for c in classes])


def n_components_and_holes(mask: np.ndarray) -> np.ndarray:
    """The first two Betti numbers of a mask."""
    background = ndimage.label(np.pad(~mask, 1, constant_values=True), np.ones((3, 3)))[1]
    return np.array([ndimage.label(mask)[1], background - 1])


@metric(task="segmentation", level="sample")
def volumetric_similarity(preds: np.ndarray, target: np.ndarray) -> float:
    """1 less the difference of both areas divided by their sum (Taha and Hanbury, 2015)."""
    found, true = int((preds > 0).sum()), int((target > 0).sum())
    return 1 - abs(found - true) / max(1, found + true)


@metric(task="segmentation", set_size=8)
def lesion_f1(preds: np.ndarray, target: np.ndarray) -> float:
    """F1 of connected objects; an overlap of a pixel finds one (Commowick et al., Scientific Reports 2018)."""
    hits = total = 0
    for p, t in zip(preds > 0, target > 0, strict=True):
        for mask, other in ((p, t), (t, p)):
            labels, n = ndimage.label(mask)
            total += n
            hits += len(np.unique(labels[other & mask]))
    return hits / max(1, total)


@metric(task="segmentation", level="sample")
def boundary_iou(preds: np.ndarray, target: np.ndarray) -> float:
    """The IoU of the pixels near both boundaries, within 2 % of the diagonal (Cheng et al., CVPR 2021)."""
    width = max(1, round(0.02 * float(np.hypot(*target.shape))))
    found, true = edge(preds > 0, width), edge(target > 0, width)
    return float((found & true).sum() / max(1, (found | true).sum()))


@metric(task="segmentation", level="sample", higher_is_better=False)
def topology_error(preds: np.ndarray, target: np.ndarray) -> float:
    """How many components and holes there are too many or too few (Hu et al., NeurIPS 2019)."""
    return float(np.abs(n_components_and_holes(preds > 0) - n_components_and_holes(target > 0)).sum())


@metric(task="segmentation", level="sample")
def enhanced_alignment(preds: np.ndarray, target: np.ndarray) -> float:
    """The E-measure: agreement of both masks after their means are taken off (Fan et al., IJCAI 2018)."""
    found, true = (preds > 0).astype(float), (target > 0).astype(float)
    found, true = found - found.mean(), true - true.mean()
    alignment = 2 * found * true / np.maximum(found**2 + true**2, 1e-12)
    return float(((1 + alignment) ** 2 / 4).mean())


@metric(task="segmentation", set_size=8)
def frequency_weighted_iou(preds: np.ndarray, target: np.ndarray) -> float:
    """The IoU of the classes, weighted by their pixels (Long et al., CVPR 2015)."""
    overlaps, n_pixels = class_overlaps(preds, target)
    return float(np.average(overlaps, weights=n_pixels))


@metric(task="segmentation", set_size=8)
def iou_of_worst_class(preds: np.ndarray, target: np.ndarray) -> float:
    """The smallest IoU of a class that occurs."""
    return float(class_overlaps(preds, target)[0].min())


@metric(task="segmentation", view="probabilities", level="sample", higher_is_better=False)
def saliency_error(preds: np.ndarray, target: np.ndarray) -> float:
    """The mean absolute error of the foreground's probability (Perazzi et al., CVPR 2012)."""
    return float(np.abs(1 - preds[0] - (target > 0)).mean())


@metric(task="segmentation", level="sample", higher_is_better=False)
def centroid_shift(preds: np.ndarray, target: np.ndarray) -> float:
    """How far the centre of the foreground is off, as a fraction of the diagonal; 1 if there is none."""
    if not (preds > 0).any() or not (target > 0).any():
        return 1.0
    centres = [np.array(ndimage.center_of_mass(mask)) for mask in (preds > 0, target > 0)]
    return float(np.linalg.norm(centres[0] - centres[1]) / np.hypot(*target.shape))
