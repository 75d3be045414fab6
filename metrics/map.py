"""Average precision of a list."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autosurrogate import metric

if TYPE_CHECKING:
    import numpy as np

COMPUTED_BY = "scikit-learn"


@metric("map", task="ranking", level="sample", view="lists")
def map(preds: np.ndarray, target: np.ndarray) -> float:
    """Average precision of a list as scikit-learn computes it, in [0, 1]; its mean over lists is called MAP.

    The mean, over the relevant items, of the fraction of relevant ones among those that are ranked no lower. Items with
    the same score have the rank of the last of them. NaN for a list without relevant items.

    Args:
        preds: scores, shape (n_items,); the largest comes first.
        target: relevance, shape (n_items,); relevant is what is above 0.

    >>> import numpy as np
    >>> round(map(np.array([0.3, 0.9, 0.1]), np.array([2, 0, 1])), 4)
    0.5833
    """
    from sklearn.metrics import average_precision_score

    relevant = target > 0
    return float(average_precision_score(relevant, preds)) if relevant.any() else float("nan")
