"""Balanced accuracy of two classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autosurrogate import metric
from autosurrogate.metrics._scores import both_classes

if TYPE_CHECKING:
    import numpy as np

COMPUTED_BY = "scikit-learn"


@metric("balanced_accuracy", task="scores", level="set", view="binary", set_size=128)
def balanced_accuracy(preds: np.ndarray, target: np.ndarray, *, threshold: float = 0.5) -> float:
    """The mean of the fraction of positives and the fraction of negatives that are classified correctly, in [0, 1].

    NaN for a set without positives or without negatives.

    Args:
        preds: probabilities, shape (n,).
        target: 0 or 1, shape (n,).
        threshold: lowest probability that counts as positive.

    >>> import numpy as np
    >>> balanced_accuracy(np.array([0.9, 0.6, 0.2, 0.1, 0.1]), np.array([1, 0, 0, 0, 0]))
    0.875
    """
    from sklearn.metrics import balanced_accuracy_score

    return float(balanced_accuracy_score(target, preds >= threshold)) if both_classes(target) else float("nan")
