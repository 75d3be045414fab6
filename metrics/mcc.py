"""Matthews' correlation coefficient."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autosurrogate import metric
from autosurrogate.metrics._scores import both_classes

if TYPE_CHECKING:
    import numpy as np

COMPUTED_BY = "scikit-learn"


@metric("mcc", task="scores", level="set", view="binary", set_size=128)
def mcc(preds: np.ndarray, target: np.ndarray, *, threshold: float = 0.5) -> float:
    """The correlation of what is predicted positive with what is (Matthews, 1975), in [-1, 1].

    0 where all or none are called positive; NaN for a set without positives or without negatives.

    Args:
        preds: probabilities, shape (n,).
        target: 0 or 1, shape (n,).
        threshold: lowest probability that counts as positive.

    >>> import numpy as np
    >>> round(mcc(np.array([0.9, 0.6, 0.2, 0.1]), np.array([1, 0, 0, 0])), 3)
    0.577
    """
    from sklearn.metrics import matthews_corrcoef

    return float(matthews_corrcoef(target, preds >= threshold)) if both_classes(target) else float("nan")
