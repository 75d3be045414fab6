"""Cells of heatmaps: where the target's peaks are, and a map relative to its own height."""

import torch
from torch import Tensor

from autosurrogate.surrogates._layers import calmed


def relative_to_peak(maps: Tensor, target: Tensor) -> Tensor:
    """Cells of each map less its maximum, in units of its height, (n, K, H * W).

    Where the height is less than the target's, as in untrained models, the gradient is that of a map as high as the
    target.
    """
    cells = maps.flatten(2)
    below = _ties_broken(cells - cells.amax(2, keepdim=True))
    height = -below.mean(2, keepdim=True)
    return calmed(below / height, height / _height(target.flatten(2)))


def place_of_peak(target: Tensor) -> tuple[Tensor, Tensor]:
    """(x, y) of the maximum of each map, in cells, float32 (n, K)."""
    place = target.flatten(2).argmax(2)
    width = target.size(3)
    x = (place % width).to(target.dtype)
    return x, torch.div(place, width, rounding_mode="floor").to(target.dtype)


def extent(x: Tensor, y: Tensor, weight: Tensor) -> Tensor:
    """Cells of the box around the annotated keypoints of an example, shape (n,)."""
    absent = weight == 0
    sides: list[Tensor] = []
    for place in (x, y):
        side = place.masked_fill(absent, -1e6).amax(1) - place.masked_fill(absent, 1e6).amin(1) + 1
        sides.append(side.clamp_min(1))
    return sides[0] * sides[1]


def mean_of_keypoints(keypoints: Tensor, weight: Tensor) -> Tensor:
    """Means over the annotated keypoints of each example: (n, K, d) and (n, K) to (n, d)."""
    return (keypoints * weight.unsqueeze(2)).sum(1) / weight.sum(1, keepdim=True).clamp_min(1)


def _height(cells: Tensor) -> Tensor:
    """By how much the maximum of each map is above its mean, and a little, (n, K, H * W) to (n, K, 1)."""
    return cells.amax(2, keepdim=True) - cells.mean(2, keepdim=True) + 1e-3


def _ties_broken(below: Tensor, step: float = 1e-7) -> Tensor:
    """Cells less the maximum, (n, K, H * W); of equal cells the first becomes the highest, as in decoding.

    Each cell is behind the one before, the first ones by most: where a map is flat, only the first is near the top.
    """
    behind = torch.log1p(torch.arange(below.size(2), dtype=below.dtype, device=below.device))
    return below - step * (behind + 1e-3)  # a map of one cell has a height, too
