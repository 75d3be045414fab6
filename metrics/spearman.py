"""Spearman's rank correlation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autosurrogate import metric

if TYPE_CHECKING:
    import numpy as np

COMPUTED_BY = "scipy"


@metric("spearman", task="values", level="set", view="values", set_size=128)
def spearman(preds: np.ndarray, target: np.ndarray) -> float:
    """Spearman's rank correlation as scipy computes it, ties averaged, in [-1, 1]; the mean over the columns.

    NaN for a set of fewer than two examples, and where a column of preds or target is constant.

    Args:
        preds: shape (n, n_columns).
        target: shape (n, n_columns).

    >>> import numpy as np
    >>> round(spearman(np.array([[1.0], [2.0], [4.0]]), np.array([[2.0], [1.0], [9.0]])), 12)
    0.5
    """
    import numpy as np
    from scipy.stats import spearmanr

    columns = list(zip(preds.T, target.T, strict=True))
    if len(target) < 2 or any(np.ptp(values) == 0 for pair in columns for values in pair):
        return float("nan")  # scipy warns
    return float(np.mean([spearmanr(p, t).statistic for p, t in columns]))
