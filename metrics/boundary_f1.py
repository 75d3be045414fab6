"""F1 of boundaries."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from autosurrogate import metric

if TYPE_CHECKING:
    import numpy as np

COMPUTED_BY = "scipy"
IGNORE_INDEX = -100


@metric("boundary_f1", task="segmentation", level="sample", view="labels")
def boundary_f1(preds: np.ndarray, target: np.ndarray, *, tolerance: float = 1.0) -> float:
    """F1 of the boundaries between the classes of one image, the mean over the classes, in [0, 1].

    The boundary of a class is its pixels with one of their four neighbours of another class; the border of the image
    is none. Precision is the fraction of the predicted boundary within `tolerance` of the target's, recall the
    fraction of the target's within `tolerance` of the predicted; F1 is their harmonic mean (Csurka et al., What is a
    good evaluation measure for semantic segmentation?, BMVC 2013). A class counts if either map has a boundary of it.
    Pixels whose target is -100 belong to no boundary and form none. NaN if no class counts.

    Args:
        preds: predicted class of each pixel, shape (height, width).
        target: target class of each pixel, the same shape; -100 where there is none.
        tolerance: distance between centres of pixels; below 1 it is a fraction of the image's diagonal, rounded up to
            pixels.

    >>> import numpy as np
    >>> target = np.zeros((9, 9), dtype=int)
    >>> target[3:6, 3:6] = 1
    >>> boundary_f1(np.roll(target, 1, 1), target), boundary_f1(np.roll(target, 3, 1), target)
    (1.0, 0.438...)
    """
    import numpy as np

    preds, target = np.asarray(preds), np.asarray(target)
    left_out = target == IGNORE_INDEX
    within = tolerance if tolerance >= 1 else math.ceil(tolerance * math.hypot(*target.shape))
    scores = []
    for label in np.union1d(preds[~left_out], target[~left_out]):
        predicted, right = (_boundary((labels == label) & ~left_out, left_out) for labels in (preds, target))
        if predicted.any() or right.any():
            scores.append(_f1(_near(predicted, right, within), _near(right, predicted, within)))
    return float(np.mean(scores)) if scores else float("nan")


def _boundary(inside: np.ndarray, left_out: np.ndarray) -> np.ndarray:
    """Where a class, bool (height, width), touches another."""
    from scipy.ndimage import binary_erosion

    core: np.ndarray = binary_erosion(inside | left_out, border_value=1)
    edge: np.ndarray = inside & ~core
    return edge


def _near(boundary: np.ndarray, other: np.ndarray, within: float) -> float:
    """The fraction of a boundary, bool (height, width), that is near the other boundary; 0 if either is empty."""
    from scipy.ndimage import distance_transform_edt

    if not boundary.any() or not other.any():
        return 0.0
    distance: np.ndarray = distance_transform_edt(~other)
    return float((distance[boundary] <= within).mean())


def _f1(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0
