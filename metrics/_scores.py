"""Parts of the metrics of binary and multilabel scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def both_classes(target: np.ndarray) -> bool:
    """Whether there are positives and negatives; without either, the metric is not defined.

    >>> import numpy as np
    >>> both_classes(np.array([0, 1])), both_classes(np.array([1, 1])), both_classes(np.array([]))
    (True, False, False)
    """
    return bool((target == 0).any() and (target == 1).any())


def f1_of(preds: np.ndarray, target: np.ndarray, threshold: float, average: str) -> float:
    """scikit-learn's F1; NaN without positives and without predicted positives.

    Args:
        preds: probabilities, shape (n,), or (n, n_labels) where F1 is averaged over labels.
        target: 0 or 1, shape of `preds`.
        threshold: lowest probability that counts as positive.
        average: "binary", "micro" or "macro".
    """
    import numpy as np
    from sklearn.metrics import f1_score

    if not len(target):
        return float("nan")
    if target.ndim == 2 and target.shape[1] == 1:  # scikit-learn would take a single column for two classes
        preds, target, average = preds[:, 0], target[:, 0], "binary"
    return float(f1_score(target, preds >= threshold, average=average, zero_division=np.nan))
