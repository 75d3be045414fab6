"""Reciprocal rank."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autosurrogate import metric

if TYPE_CHECKING:
    import numpy as np

COMPUTED_BY = "numpy"


@metric("mrr", task="ranking", level="sample", view="lists")
def mrr(preds: np.ndarray, target: np.ndarray) -> float:
    """1 / rank of the first relevant item of a list (Voorhees, TREC-8), in (0, 1]; its mean over lists is called MRR.

    Of items with the same score, the irrelevant ones come first. NaN for a list without relevant items.

    Args:
        preds: scores, shape (n_items,); the largest comes first.
        target: relevance, shape (n_items,); relevant is what is above 0.

    >>> import numpy as np
    >>> mrr(np.array([0.3, 0.9, 0.1]), np.array([2, 0, 1]))
    0.5
    """
    relevant = target > 0
    if not relevant.any():
        return float("nan")
    ahead = preds[~relevant] >= preds[relevant].max()
    return 1 / (1 + int(ahead.sum()))
