"""Parts of the metrics of segmentation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

IGNORE_INDEX = -100


def counted(preds: Iterable[np.ndarray], target: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The predicted and the right class of all pixels of all images that have a target, each shape (n_pixels,).

    Args:
        preds: class of each pixel, an array (height, width) an image.
        target: the same of the target; -100 where there is none.
    """
    import numpy as np

    pairs = [(np.asarray(p), np.asarray(t)) for p, t in zip(preds, target, strict=True)]
    none = np.empty(0, dtype=np.int64)
    return (
        np.concatenate([none, *(p[t != IGNORE_INDEX] for p, t in pairs)]),
        np.concatenate([none, *(t[t != IGNORE_INDEX] for _, t in pairs)]),
    )


def classes(preds: np.ndarray, target: np.ndarray, background: bool) -> np.ndarray:
    """The classes that occur in either of two arrays, without class 0 unless `background`; ascending."""
    import numpy as np

    labels = np.union1d(preds, target)
    return labels if background else labels[labels != 0]
