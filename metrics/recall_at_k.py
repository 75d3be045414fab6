"""Recall at k."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autosurrogate import metric

if TYPE_CHECKING:
    import numpy as np

COMPUTED_BY = "numpy"


@metric("recall_at_k", task="ranking", level="sample", view="lists")
def recall_at_k(preds: np.ndarray, target: np.ndarray, *, k: int = 10) -> float:
    """Fraction of a list's relevant items that are among the first k, in [0, 1].

    Of items with the same score, the irrelevant ones come first. NaN for a list without relevant items.

    Args:
        preds: scores, shape (n_items,); the largest comes first.
        target: relevance, shape (n_items,); relevant is what is above 0.
        k: how many items from the top count, at least 1.

    >>> import numpy as np
    >>> recall_at_k(np.array([0.3, 0.9, 0.1]), np.array([2, 0, 1]), k=2)
    0.5
    """
    import numpy as np

    relevant = target > 0
    if not relevant.any():
        return float("nan")
    order = np.lexsort((relevant, -preds))
    return float(relevant[order[:k]].sum() / relevant.sum())
