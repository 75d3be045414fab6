"""Coefficient of determination."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autosurrogate import metric

if TYPE_CHECKING:
    import numpy as np

COMPUTED_BY = "scikit-learn"


@metric("r2", task="values", level="set", view="values", set_size=128)
def r2(preds: np.ndarray, target: np.ndarray) -> float:
    """R², the fraction of the target's variance that is explained, as scikit-learn computes it, at most 1.

    The mean over the columns. A column of the target that is constant scores 1 if it is predicted exactly, else 0.
    NaN for a set of fewer than two examples.

    Args:
        preds: shape (n, n_columns).
        target: shape (n, n_columns).

    >>> import numpy as np
    >>> r2(np.array([[1.0], [2.0], [4.0]]), np.array([[1.0], [2.0], [3.0]]))
    0.5
    """
    from sklearn.metrics import r2_score

    return float(r2_score(target, preds)) if len(target) > 1 else float("nan")
