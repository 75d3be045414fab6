"""Precision at k."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autosurrogate import metric

if TYPE_CHECKING:
    import numpy as np

COMPUTED_BY = "numpy"


@metric("precision_at_k", task="scores", level="set", view="binary", set_size=128)
def precision_at_k(preds: np.ndarray, target: np.ndarray, *, k: int = 10) -> float:
    """Fraction of positives among the k examples that score highest, in [0, 1].

    Of examples that tie for the last places each counts for as much as the chance that it gets one. With fewer than
    k examples it is the fraction among all of them; NaN for a set without examples.

    Args:
        preds: probabilities, or scores that order the examples in the same way, shape (n,).
        target: 0 or 1, shape (n,).
        k: number of highest-scoring examples, at least 1.

    >>> import numpy as np
    >>> precision_at_k(np.array([0.9, 0.6, 0.6, 0.1]), np.array([1, 0, 1, 1]), k=2)
    0.75
    """
    import numpy as np

    k = min(k, len(target))
    if not k:
        return float("nan")
    last = np.partition(preds, len(preds) - k)[len(preds) - k]
    above, tied = target[preds > last], target[preds == last]
    return float((above.sum() + (k - len(above)) * tied.mean()) / k)
