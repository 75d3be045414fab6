"""Average precision of boxes as pycocotools computes it."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

MAX_DETECTIONS = 100  # in an image, of a class


def average_precision(
    preds: Sequence[dict[str, np.ndarray]],
    target: Sequence[dict[str, np.ndarray]],
    thresholds: Sequence[float] | None = None,
) -> float:
    """Mean over classes and thresholds of the average precision, boxes of all areas together.

    Args:
        preds: of each image, "boxes" (q, 4) in xyxy pixels, "scores" (q,) and "labels" (q,).
        target: of each image, "boxes" (m, 4) and "labels" (m,).
        thresholds: of IoU, ascending; 0.5 to 0.95 by 0.05 if None.

    Returns:
        In [0, 1]; NaN if no image has a true box.
    """
    import numpy as np
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):  # it prints each step
        evaluation = COCOeval(_coco(target), _coco(preds), "bbox")
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
        evaluation.params.maxDets = [MAX_DETECTIONS]
        if thresholds is not None:
            evaluation.params.iouThrs = np.array(thresholds)
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"]
    defined = precision[precision > -1]  # -1 for a class without true boxes
    return float(defined.mean()) if defined.size else float("nan")


def _coco(images: Sequence[dict[str, np.ndarray]]) -> Any:
    """Boxes in pycocotools' own form; numbered from 1, as it takes number 0 for no match."""
    import numpy as np
    from pycocotools.coco import COCO

    annotations: list[dict[str, Any]] = []
    for number, image in enumerate(images):
        boxes = image["boxes"].astype(np.float64)
        sizes = boxes[:, 2:] - boxes[:, :2]
        corners, areas = np.concatenate([boxes[:, :2], sizes], 1).tolist(), sizes.prod(1).tolist()
        scores = image["scores"].tolist() if "scores" in image else [1.0] * len(boxes)
        for box, area, score, label in zip(corners, areas, scores, image["labels"].tolist(), strict=True):
            annotations.append(
                {"id": len(annotations) + 1, "image_id": number, "category_id": label, "iscrowd": 0,
                 "bbox": box, "area": area, "score": score}
            )  # fmt: skip
    coco = COCO()
    coco.dataset = {
        "images": [{"id": number} for number in range(len(images))],
        "categories": [{"id": label} for label in sorted({a["category_id"] for a in annotations})],
        "annotations": annotations,
    }
    coco.createIndex()
    return coco
