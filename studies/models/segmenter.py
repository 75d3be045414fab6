"""A small U-Net that finds blood cells: background, red cells, white cells and platelets.

The masks are made from the boxes of BCCD: the ellipse inscribed in each box. White cells are painted over red ones,
platelets over both.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from autosurrogate.examples import Examples
from studies.models._experiment import Data, Experiment

N_CLASSES = 4
HEIGHT, WIDTH = 60, 80
SHRINK = 4  # the images are of 240 x 320 pixels
N_VALIDATION = 30  # of the images that the data set means for validation; the others are tested on


class UNet(nn.Module):
    """Three resolutions, with skip connections (Ronneberger et al., MICCAI 2015)."""

    def __init__(self, widths: tuple[int, int, int] = (12, 24, 32)) -> None:
        super().__init__()
        high, middle, low = widths
        self.down_high, self.down_middle = _convolutions(3, high), _convolutions(high, middle)
        self.bottom = _convolutions(middle, low)
        self.up_middle, self.up_high = _convolutions(low + middle, middle), _convolutions(middle + high, high)
        self.head = nn.Conv2d(high, N_CLASSES, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Image (n, 3, H, W), both sizes multiples of 4, to logits (n, classes, H, W)."""
        high = self.down_high(image)
        middle = self.down_middle(F.max_pool2d(high, 2))
        low = self.bottom(F.max_pool2d(middle, 2))
        middle = self.up_middle(torch.cat([F.interpolate(low, scale_factor=2.0), middle], 1))
        logits: Tensor = self.head(self.up_high(torch.cat([F.interpolate(middle, scale_factor=2.0), high], 1)))
        return logits


def _convolutions(n_in: int, n_out: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for size in (n_in, n_out):
        layers += [nn.Conv2d(size, n_out, 3, padding=1), nn.GroupNorm(4, n_out), nn.ReLU()]
    return nn.Sequential(*layers)


def _load(folder: Path) -> dict[str, Data]:
    with np.load(folder / "detection" / "bccd_320x240.npz") as file:
        arrays = {name: file[name] for name in ("jpeg", "offsets", "boxes", "box_image", "box_class", "split")}
    images = torch.stack([_image(arrays, i) for i in range(len(arrays["split"]))])
    masks = torch.stack([_mask(arrays, i) for i in range(len(arrays["split"]))])
    train, validation, test = ((arrays["split"] == k).nonzero()[0] for k in range(3))
    test = np.concatenate([test, validation[N_VALIDATION:]])
    rows = {"train": train, "validation": validation[:N_VALIDATION], "test": test}
    return {split: {"image": images[index], "mask": masks[index]} for split, index in rows.items()}


def _image(arrays: dict[str, np.ndarray], i: int) -> Tensor:
    """Shape (3, HEIGHT, WIDTH), in [-1, 1]."""
    encoded = arrays["jpeg"][arrays["offsets"][i] : arrays["offsets"][i + 1]].tobytes()
    pixels = torch.from_numpy(np.array(Image.open(io.BytesIO(encoded)).convert("RGB"))).permute(2, 0, 1)
    return F.avg_pool2d(pixels / 127.5 - 1, SHRINK)


def _mask(arrays: dict[str, np.ndarray], i: int) -> Tensor:
    """Class of each pixel, shape (HEIGHT, WIDTH); 0 is the background."""
    own = arrays["box_image"] == i
    boxes, classes = torch.from_numpy(arrays["boxes"][own]) / SHRINK, arrays["box_class"][own]
    y, x = torch.arange(HEIGHT)[:, None] + 0.5, torch.arange(WIDTH) + 0.5
    mask = torch.zeros(HEIGHT, WIDTH, dtype=torch.int64)
    for k in np.argsort(classes, kind="stable"):
        left, top, right, bottom = boxes[k].tolist()
        across = (2 * x - left - right) / (right - left)
        down = (2 * y - top - bottom) / (bottom - top)
        mask[across.square() + down.square() <= 1] = int(classes[k]) + 1
    return mask


def _forward(model: nn.Module, data: Data) -> Examples:
    return Examples(model(data["image"]), data["mask"])


EXPERIMENTS = {
    "segmenter": Experiment(
        task="segmentation",
        load=_load,
        build=UNet,
        forward=_forward,
        n_steps=700,
        batch_size=8,
        learning_rate=1e-2,
        checkpoints=(0, 10, 25, 50, 120, 300, 500, 700),
        n_recorded=96,
    )
}
