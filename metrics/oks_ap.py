"""Average precision of keypoints by their object keypoint similarity."""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING, Any

from autosurrogate import metric

if TYPE_CHECKING:
    import numpy as np

COMPUTED_BY = "pycocotools"

N_COCO_KEYPOINTS = 17


# A set holds a map for every keypoint of every example: 16 of them keep a batch of sets small.
@metric("oks_ap", task="heatmap", level="set", view="keypoints", set_size=16)
def oks_ap(preds: list[dict[str, np.ndarray]], target: list[dict[str, np.ndarray]]) -> float:
    """AP over similarities of 0.5 to 0.95 as pycocotools computes it for COCO's keypoints (Lin et al., ECCV 2014).

    An example is one image of one person, predicted with the mean of its keypoints' scores. With 17 keypoints each has
    the standard deviation COCO gives it; any other number of them share the mean of those. In [0, 1]; people without
    annotated keypoints are left out, NaN if all are.

    Args:
        preds: an item an example, with `keypoints` (n_keypoints, 2), (x, y), and `scores` (n_keypoints,).
        target: an item an example, with `keypoints`, `weight` (n_keypoints,), 0 where a keypoint is not annotated, and
            `area`, the person's, in the unit of the keypoints squared.

    >>> import numpy as np
    >>> right = {"keypoints": np.array([[5, 5], [9, 2]]), "scores": np.array([0.8, 0.9])}
    >>> round(oks_ap([right], [{"keypoints": right["keypoints"], "weight": np.ones(2), "area": np.float64(200)}]), 6)
    1.0
    """
    import numpy as np

    people = [(ours, theirs) for ours, theirs in zip(preds, target, strict=True) if (theirs["weight"] > 0).any()]
    if not people:
        return float("nan")
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "images": [{"id": i} for i in range(len(people))],
            "annotations": [_annotation(i, theirs) for i, (_, theirs) in enumerate(people)],
            "categories": [{"id": 1}],
        }
        truth.createIndex()
        detections = truth.loadRes([_result(i, ours) for i, (ours, _) in enumerate(people)])
        evaluation = COCOeval(truth, detections, "keypoints")
        sigmas, n_keypoints = evaluation.params.kpt_oks_sigmas, len(people[0][1]["weight"])
        if n_keypoints != N_COCO_KEYPOINTS:
            evaluation.params.kpt_oks_sigmas = np.full(n_keypoints, sigmas.mean())
        evaluation.params.areaRng = evaluation.params.areaRng[:1]  # people of all sizes
        evaluation.params.areaRngLbl = evaluation.params.areaRngLbl[:1]
        evaluation.evaluate()
        evaluation.accumulate()
    return float(evaluation.eval["precision"].mean())


def _annotation(image: int, target: dict[str, np.ndarray]) -> dict[str, Any]:
    """A person as COCO annotates it; its box only matters to people without annotated keypoints."""
    annotated = target["weight"] > 0
    return {
        "id": image + 1,  # pycocotools takes 0 for no match
        "image_id": image,
        "category_id": 1,
        "keypoints": _triples(target["keypoints"], 2 * annotated),
        "num_keypoints": int(annotated.sum()),
        "area": float(target["area"]),
        "bbox": [0, 0, 0, 0],
        "iscrowd": 0,
    }


def _result(image: int, preds: dict[str, np.ndarray]) -> dict[str, Any]:
    scores = preds["scores"]
    keypoints = _triples(preds["keypoints"], scores)
    return {"image_id": image, "category_id": 1, "keypoints": keypoints, "score": float(scores.mean())}


def _triples(keypoints: np.ndarray, third: np.ndarray) -> list[float]:
    """x, y and a third number of each keypoint, one after the other."""
    import numpy as np

    flat: list[float] = np.column_stack([keypoints, third]).astype(float).ravel().tolist()
    return flat
