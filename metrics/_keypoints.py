"""Errors of keypoints, from which several metrics are computed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from autosurrogate.errors import OptionError

if TYPE_CHECKING:
    import numpy as np

NORMALISERS = ("size", "given")


def errors(
    preds: Iterable[dict[str, np.ndarray]], target: Iterable[dict[str, np.ndarray]], normaliser: str
) -> np.ndarray:
    """Distance of each annotated keypoint of each example from its target.

    Args:
        preds: an item an example, with `keypoints` (n_keypoints, 2), (x, y).
        target: an item an example, with `keypoints`, `weight` (n_keypoints,), 0 where a keypoint is not annotated,
            and what the distances are divided by: `size` or `normaliser`.
        normaliser: "size", the longer side of the heatmap, or "given", that of the example.

    Returns:
        Shape (n_annotated,), example after example.

    Raises:
        OptionError: there is no such normaliser.
    """
    import numpy as np

    if normaliser not in NORMALISERS:
        raise OptionError(f"normaliser={normaliser!r}: expected {' or '.join(map(repr, NORMALISERS))}")
    divisor = "size" if normaliser == "size" else "normaliser"
    distances = [
        np.linalg.norm((ours["keypoints"] - theirs["keypoints"])[theirs["weight"] > 0], axis=-1) / theirs[divisor]
        for ours, theirs in zip(preds, target, strict=True)
    ]
    return np.concatenate([np.empty(0), *distances])
