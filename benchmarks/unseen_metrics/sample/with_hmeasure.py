"""The H-measure by hmeasure."""

from __future__ import annotations

import numpy as np
from hmeasure import h_score

from autosurrogate import metric


@metric(task="scores")
def h_measure(preds: np.ndarray, target: np.ndarray) -> float:
    """The expected minimum loss over a distribution of costs, as a gain over a trivial classifier."""
    return float(h_score(target, preds))
