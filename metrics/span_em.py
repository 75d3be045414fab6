"""Exact match of spans."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autosurrogate import metric

if TYPE_CHECKING:
    import numpy as np

COMPUTED_BY = "numpy"


@metric("span_em", task="span", level="set", view="positions", set_size=64)
def span_em(preds: np.ndarray, target: np.ndarray) -> float:
    """Fraction of spans whose first and last position are both right, in [0, 1]; NaN for a set without spans.

    Args:
        preds: first and last positions, shape (n, 2), integers.
        target: as `preds`.

    >>> import numpy as np
    >>> span_em(np.array([[3, 4], [5, 5]]), np.array([[3, 7], [5, 5]]))
    0.5
    """
    return float((preds == target).all(1).mean()) if len(target) else float("nan")
