"""F1 of spans."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autosurrogate import metric

if TYPE_CHECKING:
    import numpy as np

COMPUTED_BY = "numpy"


# Of single spans most have an F1 of 0 or of 1: there would be little to rank.
@metric("span_f1", task="span", level="set", view="positions", set_size=64)
def span_f1(preds: np.ndarray, target: np.ndarray) -> float:
    """F1 of the positions in a predicted span and those in the right one, the mean over the spans, in [0, 1].

    NaN for a set without spans.

    Args:
        preds: first and last positions, shape (n, 2), integers; first <= last.
        target: as `preds`.

    >>> import numpy as np
    >>> span_f1(np.array([[3, 4], [5, 5]]), np.array([[4, 7], [5, 5]]))  # (2 · 1 / (2 + 4) + 1) / 2
    0.6666666666666666
    """
    import numpy as np

    if not len(target):
        return float("nan")
    common = np.minimum(preds[:, 1], target[:, 1]) - np.maximum(preds[:, 0], target[:, 0]) + 1
    n_preds, n_target = preds[:, 1] - preds[:, 0] + 1, target[:, 1] - target[:, 0] + 1
    return float((2 * np.maximum(common, 0) / (n_preds + n_target)).mean())
