"""Agreement of two raters by PyCM."""

from __future__ import annotations

import numpy as np
from pycm import ConfusionMatrix

from autosurrogate import metric


@metric(task="classification", set_size=64)
def bangdiwala_b(preds: np.ndarray, target: np.ndarray) -> float:
    """Bangdiwala's B: squared agreements over products of both raters' counts."""
    return float(ConfusionMatrix(target.tolist(), preds.tolist()).overall_stat["Bangdiwala B"])
