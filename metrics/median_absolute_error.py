"""Median absolute error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autosurrogate import metric

if TYPE_CHECKING:
    import numpy as np

COMPUTED_BY = "scikit-learn"


@metric("median_absolute_error", task="values", level="set", view="values", set_size=128, higher_is_better=False)
def median_absolute_error(preds: np.ndarray, target: np.ndarray) -> float:
    """The median of |preds - target| as scikit-learn computes it, in the target's unit, 0 or more; lower is better.

    The mean over the columns. NaN for a set without examples.

    Args:
        preds: shape (n, n_columns).
        target: shape (n, n_columns).

    >>> import numpy as np
    >>> median_absolute_error(np.array([[1.0], [2.5], [9.0]]), np.array([[1.0], [2.0], [3.0]]))
    0.5
    """
    from sklearn.metrics import median_absolute_error as median

    return float(median(target, preds)) if len(target) else float("nan")
