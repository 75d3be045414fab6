"""Distances of surfaces by surface-distance, of the foreground."""

from __future__ import annotations

import numpy as np
import surface_distance

from autosurrogate import metric


@metric(task="segmentation", level="sample", higher_is_better=False)
def mean_surface_distance(preds: np.ndarray, target: np.ndarray) -> float:
    """The mean distance from one boundary to the other, both ways; the longer side where one has none."""
    if not (preds > 0).any() or not (target > 0).any():
        return float(max(target.shape))
    distances = surface_distance.compute_surface_distances(target > 0, preds > 0, spacing_mm=(1.0, 1.0))
    return float(np.mean(surface_distance.compute_average_surface_distance(distances)))


@metric(task="segmentation", level="sample")
def surface_recall(preds: np.ndarray, target: np.ndarray) -> float:
    """The fraction of the target's boundary that lies within two pixels of the predicted one."""
    if not (preds > 0).any() or not (target > 0).any():
        return 0.0
    distances = surface_distance.compute_surface_distances(target > 0, preds > 0, spacing_mm=(1.0, 1.0))
    return float(surface_distance.compute_surface_overlap_at_tolerance(distances, 2.0)[0])
