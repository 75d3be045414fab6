"""F1 over all labels together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autosurrogate import metric
from autosurrogate.metrics._scores import f1_of

if TYPE_CHECKING:
    import numpy as np

COMPUTED_BY = "scikit-learn"


@metric("f1_micro", task="scores", level="set", view="multilabel", set_size=128)
def f1_micro(preds: np.ndarray, target: np.ndarray, *, threshold: float = 0.5) -> float:
    """F1 of the entries of all labels as if they were of one, 2 TP / (2 TP + FP + FN), in [0, 1].

    NaN for a set without positives in which none is predicted positive either.

    Args:
        preds: probabilities, shape (n, n_labels).
        target: 0 or 1, shape (n, n_labels).
        threshold: lowest probability that counts as positive.

    >>> import numpy as np
    >>> round(f1_micro(np.array([[0.9, 0.6], [0.7, 0.1]]), np.array([[1, 0], [1, 0]])), 3)
    0.8
    """
    return float(f1_of(preds, target, threshold, "micro"))
