"""Normalised discounted cumulative gain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autosurrogate import metric

if TYPE_CHECKING:
    import numpy as np

COMPUTED_BY = "scikit-learn"


@metric("ndcg", task="ranking", level="sample", view="lists")
def ndcg(preds: np.ndarray, target: np.ndarray, *, k: int = 10, exponential: bool = False) -> float:
    """NDCG of the first k items of a list (Järvelin and Kekäläinen, TOIS 2002) as scikit-learn computes it, in [0, 1].

    The gain of an item is its relevance, discounted by the logarithm of its rank. Of items with the same score, the
    mean over all their orders counts. NaN for a list without relevant items.

    Args:
        preds: scores, shape (n_items,); the largest comes first.
        target: relevance, shape (n_items,), 0 or more.
        k: how many items from the top count, at least 1.
        exponential: let the gain be 2^relevance - 1 (Burges et al., ICML 2005).

    >>> import numpy as np
    >>> round(ndcg(np.array([0.3, 0.9, 0.1]), np.array([2, 0, 1])), 4)
    0.6697
    """
    import numpy as np
    from sklearn.metrics import ndcg_score

    if not (target > 0).any():
        return float("nan")
    gain = np.exp2(target, dtype=np.float64) - 1 if exponential else target
    if len(gain) == 1:  # which scikit-learn refuses
        return 1.0
    return float(ndcg_score(gain[None], preds[None], k=k))
