"""Small networks from images to maps."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def block(n_in: int, n_out: int, stride: int = 1) -> nn.Module:
    """A convolution, normalised, and ReLU."""
    return nn.Sequential(nn.Conv2d(n_in, n_out, 3, stride, padding=1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU())


class Pointwise(nn.Module):
    """One linear layer on the surroundings of each place: (n, n_in, H, W) to (n, n_out, H / stride, W / stride).

    Args:
        n_in: channels of the image.
        n_out: channels of the map.
        stride: pixels a place of the map, a power of two.
        reach: pixels to each side of a place that are seen.
    """

    def __init__(self, n_in: int, n_out: int, stride: int = 1, reach: int = 3) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(stride)
        self.head = nn.Conv2d(n_in, n_out, 2 * reach + 1, padding=reach)

    def forward(self, images: Tensor) -> Tensor:
        """Images to maps."""
        maps: Tensor = self.head(self.pool(images))
        return maps


class Convolutions(nn.Module):
    """Convolutions at the resolution of the map, the sizes of the images divided by a stride.

    Args:
        n_in: channels of the image.
        n_out: channels of the map.
        stride: pixels a place of the map: 1, 2, 4 or 8.
        width: channels.
    """

    def __init__(self, n_in: int, n_out: int, stride: int = 1, width: int = 16) -> None:
        super().__init__()
        down = [block(n_in if k == 0 else width, width, 2) for k in range(stride.bit_length() - 1)]
        first = [] if down else [block(n_in, width)]
        self.body = nn.Sequential(*first, *down, block(width, width), block(width, width))
        self.head = nn.Conv2d(width, n_out, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Images to maps."""
        maps: Tensor = self.head(self.body(images))
        return maps


class Hourglass(nn.Module):
    """Convolutions down to a quarter of the map's resolution and up again, with connections across.

    Args:
        n_in: channels of the image.
        n_out: channels of the map.
        stride: pixels a place of the map, 1 or 2.
        width: channels.
    """

    def __init__(self, n_in: int, n_out: int, stride: int = 1, width: int = 16) -> None:
        super().__init__()
        self.high = block(n_in, width, stride)
        self.middle = block(width, 2 * width, 2)
        self.low = block(2 * width, 2 * width, 2)
        self.up_middle, self.up_high = block(4 * width, width), block(2 * width, width)
        self.head = nn.Conv2d(width, n_out, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Images to maps."""
        high = self.high(images)
        middle = self.middle(high)
        hidden = self.up_middle(torch.cat([_resized(self.low(middle), middle), middle], 1))
        maps: Tensor = self.head(self.up_high(torch.cat([_resized(hidden, high), high], 1)))
        return maps


def _resized(maps: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(maps, like.shape[2:])
