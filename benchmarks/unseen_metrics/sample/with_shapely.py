"""Overlaps of shapes by shapely."""

from __future__ import annotations

import numpy as np
from shapely import MultiPoint, box, union_all

from autosurrogate import metric


@metric(task="detection", level="sample")
def covered_area(preds: dict[str, np.ndarray], target: dict[str, np.ndarray]) -> float:
    """The intersection over union of all that sure detections cover with all that true boxes cover."""
    sure = preds["boxes"][preds["scores"] >= 0.5]
    found, true = (union_all([box(*each) for each in boxes]) for boxes in (sure, target["boxes"]))
    union = found.union(true).area
    return found.intersection(true).area / union if union > 0 else 1.0


@metric(task="heatmap", level="sample")
def hull_overlap(preds: dict[str, np.ndarray], target: dict[str, np.ndarray]) -> float:
    """The intersection over union of the convex hulls of annotated keypoints, a cell wide at least."""
    shown = target["weight"] > 0
    found, true = (MultiPoint(each["keypoints"][shown]).convex_hull.buffer(0.5) for each in (preds, target))
    return found.intersection(true).area / found.union(true).area
