"""Mean IoU of true boxes with what was detected of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autosurrogate import metric

if TYPE_CHECKING:
    import numpy as np

COMPUTED_BY = "pycocotools"


@metric("mean_iou", task="detection", level="sample", view="boxes")
def mean_iou(preds: dict[str, np.ndarray], target: dict[str, np.ndarray], *, min_score: float = 0.5) -> float:
    """Mean over the true boxes of the IoU with the best detection of their class, in [0, 1].

    This is the average best overlap (Uijlings et al., IJCV 2013) of the detections that score `min_score` or more; 0
    for a true box without one. False detections do not count against it. IoU is pycocotools'. NaN for an image without
    a true box.

    Args:
        preds: "boxes" (q, 4) in xyxy pixels, "scores" (q,) and "labels" (q,).
        target: "boxes" (m, 4) and "labels" (m,).
        min_score: score from which a detection counts.

    >>> import numpy as np
    >>> target = {"boxes": np.array([[0.0, 0, 10, 10], [20, 0, 30, 10]]), "labels": np.array([2, 2])}
    >>> mean_iou({"boxes": np.array([[0.0, 0, 10, 8]]), "scores": np.array([0.6]), "labels": np.array([2])}, target)
    0.4
    """
    import numpy as np
    from pycocotools import mask

    if not len(target["boxes"]):
        return float("nan")
    counted = preds["scores"] >= min_score
    if not counted.any():
        return 0.0
    overlap = mask.iou(_xywh(preds["boxes"][counted]), _xywh(target["boxes"]), np.zeros(len(target["boxes"])))
    same_class = preds["labels"][counted][:, None] == target["labels"]
    return float((overlap * same_class).max(0).mean())


def _xywh(boxes: np.ndarray) -> np.ndarray:
    import numpy as np

    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], 1).astype(np.float64)
