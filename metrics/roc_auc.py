"""Area under the ROC curve."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autosurrogate import metric
from autosurrogate.metrics._scores import both_classes

if TYPE_CHECKING:
    import numpy as np

COMPUTED_BY = "scikit-learn"


@metric("roc_auc", task="scores", level="set", view="binary", set_size=128)
def roc_auc(preds: np.ndarray, target: np.ndarray) -> float:
    """Fraction of pairs of a positive and a negative in which the positive scores higher, in [0, 1]; a tie is a half.

    NaN for a set without positives or without negatives.

    Args:
        preds: probabilities, or scores that order the examples in the same way, shape (n,).
        target: 0 or 1, shape (n,).

    >>> import numpy as np
    >>> roc_auc(np.array([0.9, 0.6, 0.2, 0.1]), np.array([1, 0, 1, 0]))
    0.75
    """
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(target, preds)) if both_classes(target) else float("nan")
