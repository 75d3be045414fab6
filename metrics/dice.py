"""Dice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autosurrogate import metric
from autosurrogate.metrics._segmentation import classes, counted

if TYPE_CHECKING:
    import numpy as np

COMPUTED_BY = "scikit-learn"


@metric("dice", task="segmentation", level="sample", view="labels")
def dice(preds: np.ndarray, target: np.ndarray, *, background: bool = True) -> float:
    """Dice of one image, the mean over its classes (macro average), in [0, 1].

    Twice the pixels in both maps, divided by the sum of those in each (Dice, Ecology 1945): the F1 of a class. A class
    counts if it occurs in the target or is predicted; one that is only predicted has 0. Pixels whose target is -100 do
    not count at all. NaN if no class counts.

    Args:
        preds: predicted class of each pixel, shape (height, width).
        target: target class of each pixel, the same shape; -100 where there is none.
        background: whether class 0 counts.

    >>> import numpy as np
    >>> dice(np.array([[0, 0, 1, 1]]), np.array([[0, 1, 1, 1]]))  # the mean of 2/3 and 4/5
    0.733...
    """
    from sklearn.metrics import f1_score

    predicted, right = counted([preds], [target])
    labels = classes(predicted, right, background)
    if not len(labels):
        return float("nan")
    return float(f1_score(right, predicted, labels=labels, average="macro"))
