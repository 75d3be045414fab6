"""Boxes of blood cells and of digits in a scene, by grids of queries and by a few free queries."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autosurrogate.examples import Examples
from studies.models import detector
from studies.models._experiment import Data, Experiment
from studies.training_outputs import _scenes
from studies.training_outputs._image_networks import Convolutions, Pointwise, block
from studies.training_outputs._networks import Build, both_heads, perceptron
from studies.training_outputs._recording import checkpoints, combine

N_STEPS, N_RECORDED = 400, 96
N_BEST = 30  # queries that are recorded, the best scored
STRIDE = 4  # pixels between queries of the grids
RARE = -3.0  # the initial logit of a class in a grid
SHRINK = 2  # of the images of cells


@cache
def cells(folder: Path) -> dict[str, Data]:
    """BCCD as in `studies.models.detector`, at half its size, 60 x 80 pixels: three kinds of cells."""
    splits: dict[str, Data] = {}
    for split, data in detector.load(folder).items():
        classes, boxes = data["target"][..., 4:], data["target"][..., :4]
        boxes = torch.where(classes >= 0, boxes / SHRINK, boxes)
        splits[split] = {"image": F.avg_pool2d(data["image"], SHRINK), "boxes": torch.cat([boxes, classes], -1)}
    return splits


def digits(folder: Path) -> dict[str, Data]:
    """Scenes of digits, in five classes."""
    return _scenes.scenes(distinct=False)


class Grid(nn.Module):
    """A box and class logits for each place of a map.

    Args:
        maps: builds the network from images to maps of 4 + n_classes channels; the last layer is the head.
        typical: the initial side of a box, in pixels.
    """

    def __init__(self, maps: Build, typical: float) -> None:
        super().__init__()
        self.maps, self.typical = maps(), typical

    def forward(self, images: Tensor) -> Tensor:
        """Images (n, channels, H, W) to (n, Q, 4 + n_classes), row by row of the map."""
        maps = self.maps(images)
        y, x = torch.meshgrid(*(torch.arange(size, device=images.device) for size in maps.shape[2:]), indexing="ij")
        outputs = maps.flatten(2).transpose(1, 2)
        centres = (torch.stack([x, y], -1).flatten(0, 1) + 0.5 + outputs[..., :2]) * STRIDE
        return torch.cat(
            [_boxes(centres, self.typical * outputs[..., 2:4].clamp(-3, 3).exp()), outputs[..., 4:] + RARE], -1
        )


class FreeQueries(nn.Module):
    """A few queries that may lie anywhere, each an output of a perceptron on the map of the whole image.

    Args:
        n_channels: of the images.
        height: of the images, in pixels.
        width: of the images, in pixels.
        n_classes: of the boxes.
        n_queries: of an image.
        typical: the initial side of a box, in pixels.
    """

    def __init__(
        self, n_channels: int, height: int, width: int, n_classes: int, n_queries: int, typical: float
    ) -> None:
        super().__init__()
        self.register_buffer("size", torch.tensor([width, height]))
        self.typical, self.shape = typical, (n_queries, 4 + n_classes)
        self.body = nn.Sequential(block(n_channels, 16, 2), block(16, 32, 2), block(32, 32, 2), nn.Flatten())
        self.head = perceptron(32 * math.ceil(height / 8) * math.ceil(width / 8), n_queries * (4 + n_classes), 128)

    def forward(self, images: Tensor) -> Tensor:
        """Images (n, channels, H, W) to (n, n_queries, 4 + n_classes)."""
        outputs = self.head(self.body(images)).view(-1, *self.shape)
        boxes = _boxes(self.size * outputs[..., :2].sigmoid(), self.typical * outputs[..., 2:4].clamp(-3, 3).exp())
        return torch.cat([boxes, outputs[..., 4:]], -1)


def _boxes(centres: Tensor, sizes: Tensor) -> Tensor:
    return torch.cat([centres - sizes / 2, centres + sizes / 2], -1)


def forward(model: nn.Module, batch: Data) -> Examples:
    """All queries in training mode; the best scored ones in evaluation mode."""
    preds = model(batch["image"])
    if not model.training and preds.shape[1] > N_BEST:
        best = preds[..., 4:].amax(-1).topk(N_BEST, 1).indices
        preds = preds.gather(1, best[..., None].expand(-1, -1, preds.shape[-1]))
    return Examples(preds, batch["boxes"])


def experiment(build: Build, load: Callable[[Path], dict[str, Data]]) -> Experiment:
    """What the data sets have in common."""
    return Experiment(
        task="detection",
        load=load,
        build=build,
        forward=forward,
        n_steps=N_STEPS,
        batch_size=16,
        learning_rate=5e-3,
        checkpoints=checkpoints(N_STEPS),
        n_recorded=N_RECORDED,
    )


def models(n_channels: int, height: int, width: int, n_classes: int, n_queries: int) -> dict[str, Build]:
    """Models of images."""
    grids: dict[str, Build] = {
        "linear": partial(Pointwise, n_channels, 4 + n_classes, STRIDE, 2),
        "convolutions": partial(Convolutions, n_channels, 4 + n_classes, STRIDE, 32),
    }
    free = partial(FreeQueries, n_channels, height, width, n_classes, n_queries, 10.0)
    return both_heads({**{name: partial(Grid, maps, 10.0) for name, maps in grids.items()}, "free_queries": free})


RECORDINGS = combine(
    "detection",
    experiment,
    {"cells": {"load": cells}, "digits": {"load": digits}},
    {
        "cells": models(3, 60, 80, detector.N_CLASSES, 20),
        "digits": models(1, _scenes.SIDE, _scenes.SIDE, _scenes.N_CLASSES, 8),
    },
)
