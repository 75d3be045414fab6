"""Pixels of blood cells and of digits in a scene, most of which are ground."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import torch.nn.functional as F
from torch import nn

from autosurrogate.examples import Examples
from studies.models import segmenter
from studies.models._experiment import Data, Experiment
from studies.training_outputs import _scenes
from studies.training_outputs._image_networks import Convolutions, Hourglass, Pointwise
from studies.training_outputs._networks import Build, both_heads
from studies.training_outputs._recording import checkpoints, combine

N_STEPS, N_RECORDED = 256, 96
SHRINK = 2  # of the images of cells, which are of 60 x 80 pixels


@cache
def cells(folder: Path) -> dict[str, Data]:
    """BCCD as in `studies.models.segmenter`, at half its size: three kinds of cells."""
    return {
        split: {"image": F.avg_pool2d(data["image"], SHRINK), "classes": data["mask"][:, ::SHRINK, ::SHRINK]}
        for split, data in segmenter.EXPERIMENTS["segmenter"].load(folder).items()
    }


def digits(folder: Path) -> dict[str, Data]:
    """Scenes of digits, in five classes."""
    return _scenes.scenes(distinct=False)


def forward(model: nn.Module, data: Data) -> Examples:
    """Logits (n, C, H, W) and classes (n, H, W)."""
    return Examples(model(data["image"]), data["classes"])


def experiment(build: Build, load: Callable[[Path], dict[str, Data]]) -> Experiment:
    """What the data sets have in common."""
    return Experiment(
        task="segmentation",
        load=load,
        build=build,
        forward=forward,
        n_steps=N_STEPS,
        batch_size=16,
        learning_rate=1e-2,
        checkpoints=checkpoints(N_STEPS),
        n_recorded=N_RECORDED,
    )


def models(n_channels: int, n_classes: int) -> dict[str, Build]:
    """Models of images."""
    return both_heads(
        {
            "linear": partial(Pointwise, n_channels, n_classes),
            "convolutions": partial(Convolutions, n_channels, n_classes),
            "hourglass": partial(Hourglass, n_channels, n_classes),
        }
    )


RECORDINGS = combine(
    "segmentation",
    experiment,
    {"cells": {"load": cells}, "digits": {"load": digits}},
    {"cells": models(3, segmenter.N_CLASSES), "digits": models(1, 1 + _scenes.N_CLASSES)},
)
