"""Mean distance of keypoints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autosurrogate import metric
from autosurrogate.metrics import _keypoints

if TYPE_CHECKING:
    import numpy as np

COMPUTED_BY = "numpy"


@metric("mean_distance", task="heatmap", level="sample", view="keypoints", higher_is_better=False)
def mean_distance(preds: dict[str, np.ndarray], target: dict[str, np.ndarray], *, normaliser: str = "size") -> float:
    """Mean distance of the annotated keypoints of an example from their targets, in units of the normaliser.

    Also called the normalised mean error (as of the 300-W challenge: Sagonas et al., ICCV Workshops 2013). At least 0;
    NaN for an example without annotated keypoints.

    Args:
        preds: `keypoints` (n_keypoints, 2), (x, y).
        target: `keypoints`, `weight` (n_keypoints,), 0 where a keypoint is not annotated, `size`, the longer side of
            the heatmap, and `normaliser`.
        normaliser: "size", the longer side of the heatmap, or "given", that of the example.

    >>> import numpy as np
    >>> target = {"keypoints": np.array([[5, 5], [9, 2]]), "weight": np.ones(2), "size": np.float64(20)}
    >>> mean_distance({"keypoints": np.array([[5, 6], [9, 5]])}, target)
    0.1
    """
    distances = _keypoints.errors([preds], [target], normaliser)
    return float(distances.mean()) if len(distances) else float("nan")
