"""Percentage of correct keypoints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autosurrogate import metric
from autosurrogate.metrics import _keypoints

if TYPE_CHECKING:
    import numpy as np

COMPUTED_BY = "numpy"


# A set holds a map for every keypoint of every example: 16 of them keep a batch of sets small.
@metric("pck", task="heatmap", level="set", view="keypoints", set_size=16)
def pck(
    preds: list[dict[str, np.ndarray]],
    target: list[dict[str, np.ndarray]],
    *,
    threshold: float = 0.05,
    normaliser: str = "size",
) -> float:
    """Fraction of the annotated keypoints that are found (Yang and Ramanan, TPAMI 2013, section 6), in [0, 1].

    A keypoint is found if it is at most `threshold` times the normaliser from its target. With the head's
    size as the normaliser and a threshold of 0.5 this is PCKh (Andriluka et al., CVPR 2014). NaN for a set without
    annotated keypoints.

    Args:
        preds: an item an example, with `keypoints` (n_keypoints, 2), (x, y).
        target: an item an example, with `keypoints`, `weight` (n_keypoints,), 0 where a keypoint is not annotated,
            `size`, the longer side of the heatmap, and `normaliser`.
        threshold: fraction of the normaliser.
        normaliser: "size", the longer side of the heatmap, or "given", that of the example.

    >>> import numpy as np
    >>> target = {"keypoints": np.array([[5, 5], [9, 2]]), "weight": np.ones(2), "size": np.float64(24)}
    >>> pck([{"keypoints": np.array([[5, 6], [9, 4]])}], [target])
    0.5
    """
    distances = _keypoints.errors(preds, target, normaliser)
    return float((distances <= threshold).mean()) if len(distances) else float("nan")
