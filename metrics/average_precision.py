"""Average precision."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autosurrogate import metric

if TYPE_CHECKING:
    import numpy as np

COMPUTED_BY = "scikit-learn"


@metric("average_precision", task="scores", level="set", view="binary", set_size=128)
def average_precision(preds: np.ndarray, target: np.ndarray) -> float:
    """The mean over the positives of the precision among the examples that score at least as high, in [0, 1].

    Precision is not interpolated. NaN for a set without positives.

    Args:
        preds: probabilities, or scores that order the examples in the same way, shape (n,).
        target: 0 or 1, shape (n,).

    >>> import numpy as np
    >>> round(average_precision(np.array([0.9, 0.6, 0.2, 0.1]), np.array([1, 0, 1, 0])), 3)
    0.833
    """
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(target, preds)) if (target == 1).any() else float("nan")
