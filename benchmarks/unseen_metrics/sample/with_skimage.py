"""Metrics of images by scikit-image."""

from __future__ import annotations

import numpy as np
from skimage.metrics import adapted_rand_error, structural_similarity, variation_of_information
from skimage.morphology import skeletonize

from autosurrogate import metric


@metric(task="segmentation", level="sample", higher_is_better=False)
def rand_error(preds: np.ndarray, target: np.ndarray) -> float:
    """1 less the F1 of pairs of pixels in one segment (SNEMI3D), background of the target left out."""
    labelled = target >= 0
    return float(adapted_rand_error(target[labelled], preds[labelled])[0])


@metric(task="segmentation", level="sample", higher_is_better=False)
def information_variation(preds: np.ndarray, target: np.ndarray) -> float:
    """Variation of information: bits lost by false splits and by false merges."""
    labelled = target >= 0
    return float(variation_of_information(target[labelled], preds[labelled]).sum())


@metric(task="segmentation", level="sample")
def centreline_dice(preds: np.ndarray, target: np.ndarray) -> float:
    """Dice of centre lines, clDice (Shit et al., CVPR 2021): how much of each skeleton lies in the other's mask."""
    found, true = preds > 0, target > 0
    precision = true[skeletonize(found)].mean() if found.any() else 0.0
    recall = found[skeletonize(true)].mean() if true.any() else float(not found.any())
    return float(2 * precision * recall / max(precision + recall, 1e-9))


@metric(task="segmentation", level="sample", view="probabilities")
def structure_of_foreground(preds: np.ndarray, target: np.ndarray) -> float:
    """The structural similarity of the foreground's probability with its mask."""
    return float(structural_similarity(1 - preds[0].astype(float), (target > 0).astype(float), data_range=1.0))
