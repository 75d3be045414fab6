"""Mean intersection over union."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autosurrogate import metric
from autosurrogate.metrics._segmentation import classes, counted

if TYPE_CHECKING:
    import numpy as np

COMPUTED_BY = "scikit-learn"


@metric("miou", task="segmentation", level="set", view="labels", set_size=16)
def miou(preds: np.ndarray, target: np.ndarray, *, background: bool = True) -> float:
    """Mean intersection over union (Jaccard index) of the classes, in [0, 1].

    The pixels of all images of the set are counted together, as data sets are scored (Everingham et al., The Pascal
    Visual Object Classes Challenge, IJCV 2015). A class counts if it occurs in the target or is predicted; one that
    is only predicted has 0. Pixels whose target is -100 do not count at all. NaN if no class counts.

    Args:
        preds: predicted class of each pixel, shape (n, height, width), or a list of such maps.
        target: target class of each pixel, the same shapes; -100 where there is none.
        background: whether class 0 counts.

    >>> import numpy as np
    >>> miou(np.array([[[0, 0, 1, 1]]]), np.array([[[0, 1, 1, 1]]]))  # the mean of 1/2 and 2/3
    0.583...
    """
    from sklearn.metrics import jaccard_score

    predicted, right = counted(preds, target)
    labels = classes(predicted, right, background)
    if not len(labels):
        return float("nan")
    return float(jaccard_score(right, predicted, labels=labels, average="macro"))
