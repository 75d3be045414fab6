"""Top-5 accuracy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autosurrogate import metric

if TYPE_CHECKING:
    import numpy as np

COMPUTED_BY = "numpy"


@metric("top5_accuracy", task="classification", level="set", view="probabilities", set_size=128)
def top5_accuracy(preds: np.ndarray, target: np.ndarray) -> float:
    """Fraction of examples whose target class is among the top five, in [0, 1] (arXiv 1409.0575, section 4.1).

    Of equally probable classes the one with the smaller number comes first, so that five classes are among the
    five, never six. With five classes or fewer every example counts. NaN for a set without examples.

    Args:
        preds: probabilities, or scores that order the classes in the same way, shape (n, n_classes).
        target: target class, shape (n,), integers.

    >>> import numpy as np
    >>> top5_accuracy(np.array([[0.3, 0.2, 0.2, 0.1, 0.1, 0.1]] * 2), np.array([4, 5]))
    0.5
    """
    import numpy as np

    if not len(target):
        return float("nan")
    of_target = np.take_along_axis(preds, target[:, None], axis=1)
    smaller_number = np.arange(preds.shape[1]) < target[:, None]
    ahead = (preds > of_target) | ((preds == of_target) & smaller_number)
    return float((ahead.sum(axis=1) < 5).mean())
