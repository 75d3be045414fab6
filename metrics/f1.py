"""F1 of the positive class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autosurrogate import metric
from autosurrogate.metrics._scores import f1_of

if TYPE_CHECKING:
    import numpy as np

COMPUTED_BY = "scikit-learn"


@metric("f1", task="scores", level="set", view="binary", set_size=128)
def f1(preds: np.ndarray, target: np.ndarray, *, threshold: float = 0.5) -> float:
    """Harmonic mean of precision and recall of the positive class, 2 TP / (2 TP + FP + FN), in [0, 1].

    NaN for a set without positives in which none is predicted positive either.

    Args:
        preds: probabilities, shape (n,).
        target: 0 or 1, shape (n,).
        threshold: lowest probability that counts as positive.

    >>> import numpy as np
    >>> f1(np.array([0.9, 0.6, 0.2, 0.1]), np.array([1, 0, 1, 0]))
    0.5
    """
    return float(f1_of(preds, target, threshold, "binary"))
