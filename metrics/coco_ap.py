"""COCO average precision of boxes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autosurrogate import metric

from ._coco import average_precision

if TYPE_CHECKING:
    import numpy as np

COMPUTED_BY = "pycocotools"


@metric("coco_ap", task="detection", level="set", view="boxes", set_size=16)
def coco_ap(preds: list[dict[str, np.ndarray]], target: list[dict[str, np.ndarray]]) -> float:
    """Average precision of boxes as pycocotools computes it (Lin et al., ECCV 2014), in [0, 1].

    The mean over the classes that have a true box, and over IoU thresholds from 0.5 to 0.95 by 0.05, of the precision
    at 101 levels of recall. Boxes of all areas count, the 100 best scored of each image and class. NaN for a set
    without a true box.

    Args:
        preds: of each image, "boxes" (q, 4) in xyxy pixels, "scores" (q,) and "labels" (q,).
        target: of each image, "boxes" (m, 4) and "labels" (m,).

    >>> import numpy as np
    >>> target = [{"boxes": np.array([[0.0, 0, 10, 10]]), "labels": np.array([2])}]
    >>> round(coco_ap([{**target[0], "boxes": np.array([[0.0, 0, 10, 8]]), "scores": np.array([0.6])}], target), 2)
    0.7
    """
    return average_precision(preds, target)
