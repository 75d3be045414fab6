"""Concordance correlation coefficient."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autosurrogate import metric

if TYPE_CHECKING:
    import numpy as np

COMPUTED_BY = "numpy"


@metric("ccc", task="values", level="set", view="values", set_size=128)
def ccc(preds: np.ndarray, target: np.ndarray) -> float:
    """Concordance correlation coefficient (Lin, Biometrics 1989), in [-1, 1]; the mean over the columns.

    2 cov(preds, target) / (var(preds) + var(target) + (mean(preds) - mean(target))²), with variances divided by n, as
    in that paper: how close the points lie to the line of equal values. NaN for a set without examples, and where
    preds and target are the same constant.

    Args:
        preds: shape (n, n_columns).
        target: shape (n, n_columns).

    >>> import numpy as np
    >>> round(ccc(np.array([[1.0], [2.0], [4.0]]), np.array([[1.0], [2.0], [3.0]])), 12)
    0.857142857143
    """
    if not len(target):
        return float("nan")
    p, t = preds - preds.mean(0), target - target.mean(0)
    apart = (p * p).mean(0) + (t * t).mean(0) + (preds.mean(0) - target.mean(0)) ** 2
    return float((2 * (p * t).mean(0) / apart).mean()) if (apart > 0).all() else float("nan")
