"""Accuracy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autosurrogate import metric

if TYPE_CHECKING:
    import numpy as np

COMPUTED_BY = "numpy"


@metric("accuracy", task="classification", level="set", view="labels", set_size=128)
def accuracy(preds: np.ndarray, target: np.ndarray) -> float:
    """Fraction of examples whose predicted class is the target class, in [0, 1]; NaN for a set without examples.

    Args:
        preds: predicted class, shape (n,), integers.
        target: target class, shape (n,), integers.

    >>> import numpy as np
    >>> accuracy(np.array([3, 1, 2, 0]), np.array([3, 1, 0, 0]))
    0.75
    """
    return float((preds == target).mean()) if len(target) else float("nan")
