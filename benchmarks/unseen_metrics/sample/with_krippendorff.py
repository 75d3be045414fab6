"""Krippendorff's alpha of predictions and target as two raters, by krippendorff."""

from __future__ import annotations

import krippendorff
import numpy as np

from autosurrogate import metric


@metric(task="classification", set_size=64)
def ordinal_alpha(preds: np.ndarray, target: np.ndarray) -> float:
    """Agreement of ordered classes beyond chance."""
    return float(krippendorff.alpha(np.stack([preds, target]), level_of_measurement="ordinal"))


@metric(task="values", set_size=64)
def interval_alpha(preds: np.ndarray, target: np.ndarray) -> float:
    """Agreement of values beyond chance, the mean over the columns."""
    columns = zip(preds.T, target.T, strict=True)
    return float(np.mean([krippendorff.alpha(np.stack(c), level_of_measurement="interval") for c in columns]))
