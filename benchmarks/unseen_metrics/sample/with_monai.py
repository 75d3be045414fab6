"""Metrics of medical images by MONAI."""

from __future__ import annotations

import numpy as np
import torch
from monai.metrics import compute_generalized_dice, compute_hausdorff_distance, compute_surface_dice

from autosurrogate import metric


def foreground(labels: np.ndarray) -> torch.Tensor:
    """Background and foreground as channels, (1, 2, H, W)."""
    return torch.as_tensor(np.stack([labels <= 0, labels > 0])[None]).float()


@metric(task="segmentation", level="sample", higher_is_better=False)
def hausdorff_95(preds: np.ndarray, target: np.ndarray) -> float:
    """The 95th percentile of the distances between both boundaries; the diagonal where one has none."""
    diagonal = float(np.hypot(*target.shape))
    distance = float(compute_hausdorff_distance(foreground(preds), foreground(target), percentile=95))
    return min(distance, diagonal) if np.isfinite(distance) else diagonal


@metric(task="segmentation", level="sample")
def surface_dice(preds: np.ndarray, target: np.ndarray) -> float:
    """The fraction of both boundaries within one pixel of the other."""
    return float(compute_surface_dice(foreground(preds), foreground(target), class_thresholds=[1.0]))


@metric(task="segmentation", level="set", set_size=8)
def generalized_dice(preds: np.ndarray, target: np.ndarray) -> float:
    """Dice over all classes of an image, weighted by 1 / area², the mean over the images."""
    n_classes = int(max(preds.max(), target.max())) + 1
    one_hot = [torch.nn.functional.one_hot(torch.as_tensor(x).clamp_min(0), n_classes) for x in (preds, target)]
    each = compute_generalized_dice(*(x.movedim(-1, 1).float() for x in one_hot), sum_over_classes=True)
    return float(each.mean())
