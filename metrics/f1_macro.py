"""F1 of each label, averaged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autosurrogate import metric
from autosurrogate.metrics._scores import f1_of

if TYPE_CHECKING:
    import numpy as np

COMPUTED_BY = "scikit-learn"


@metric("f1_macro", task="scores", level="set", view="multilabel", set_size=128)
def f1_macro(preds: np.ndarray, target: np.ndarray, *, threshold: float = 0.5) -> float:
    """The mean over the labels of F1, 2 TP / (2 TP + FP + FN), in [0, 1].

    A label without positives of which none is predicted positive either is left out, where scikit-learn by default
    counts 0; NaN if that is all labels.

    Args:
        preds: probabilities, shape (n, n_labels).
        target: 0 or 1, shape (n, n_labels).
        threshold: lowest probability that counts as positive.

    >>> import numpy as np
    >>> f1_macro(np.array([[0.9, 0.6, 0.2], [0.7, 0.1, 0.3]]), np.array([[1, 0, 0], [1, 0, 0]]))
    0.5
    """
    return float(f1_of(preds, target, threshold, "macro"))
