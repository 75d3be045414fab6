"""Places of digits in a scene, and of the joints of people of whom only unnamed points are shown."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from autosurrogate.examples import Examples
from studies.models._experiment import Data, Experiment
from studies.training_outputs import _scenes
from studies.training_outputs._image_networks import Convolutions, Hourglass, Pointwise
from studies.training_outputs._networks import Build, both_heads
from studies.training_outputs._recording import checkpoints, combine

N_STEPS, N_RECORDED = 300, 96
MAP = 16  # cells of a side
SPREAD = 1.0  # of the peaks, in cells
FILE = "pose/coco_val2017_keypoints_2213.npz"
MIN_KEYPOINTS = 10  # of a person
N_JOINTS = 17
MARGIN = 1.2  # sides of the shown square for one of the person's box


def digits(folder: Path) -> dict[str, Data]:
    """Centres of the boxes of the digits in a scene, a keypoint for each class; absent classes have weight 0."""
    splits: dict[str, Data] = {}
    for split, data in _scenes.scenes(distinct=True).items():
        boxes = data["boxes"]
        keypoints, weight = torch.zeros(len(boxes), _scenes.N_CLASSES, 2), torch.zeros(len(boxes), _scenes.N_CLASSES)
        area = torch.ones(len(boxes))
        row, box = (boxes[..., 4] >= 0).nonzero(as_tuple=True)
        kind, corners = boxes[row, box, 4].long(), boxes[row, box, :4] * (MAP / _scenes.SIDE)
        keypoints[row, kind] = (corners[:, :2] + corners[:, 2:]) / 2 - 0.5
        weight[row, kind] = 1
        area[row] = (corners[:, 2:] - corners[:, :2]).prod(1)
        splits[split] = {"image": data["image"], "keypoints": keypoints, "weight": weight, "area": area}
    return splits


@cache
def people(folder: Path) -> dict[str, Data]:
    """COCO's people as points, one for each annotated joint; which is which is to be found."""
    with np.load(folder / FILE) as file:
        arrays = {name: torch.from_numpy(file[name]) for name in ("keypoints", "bbox", "area", "iscrowd", "image_id")}
    kept = ((arrays["keypoints"][..., 2] > 0).sum(1) >= MIN_KEYPOINTS) & (arrays["iscrowd"] == 0)
    arrays = {name: array[kept] for name, array in arrays.items()}
    box = arrays["bbox"]
    side = MARGIN * box[:, 2:].amax(1)
    corner = box[:, :2] + box[:, 2:] / 2 - side[:, None] / 2
    keypoints = (arrays["keypoints"][..., :2] - corner[:, None]) / side[:, None, None] * MAP - 0.5
    weight = ((arrays["keypoints"][..., 2] > 0) & ((keypoints > -0.5) & (keypoints < MAP - 0.5)).all(2)).float()
    shown = (_peaks(keypoints, weight)).amax(1, keepdim=True)
    data = {"image": shown, "keypoints": keypoints, "weight": weight, "area": arrays["area"] * (MAP / side) ** 2}
    tested = arrays["image_id"] % 3 == 0
    return {name: {k: v[rows] for k, v in data.items()} for name, rows in {"train": ~tested, "test": tested}.items()}


def _peaks(keypoints: Tensor, weight: Tensor) -> Tensor:
    """A Gaussian around each keypoint, (n, K, MAP, MAP); of keypoints (x, y) in cells, (n, K, 2)."""
    near = torch.exp(-0.5 * ((torch.arange(MAP) - keypoints[..., None]) / SPREAD) ** 2)
    return near[:, :, 1, :, None] * near[:, :, 0, None, :] * weight[..., None, None]


def forward(model: nn.Module, batch: Data) -> Examples:
    """Predicted and target heatmaps (n, K, MAP, MAP)."""
    extras = {name: batch[name] for name in ("weight", "area")}
    return Examples(model(batch["image"]), _peaks(batch["keypoints"], batch["weight"]), extras)


def experiment(build: Build, load: Callable[[Path], dict[str, Data]]) -> Experiment:
    """What the data sets have in common."""
    return Experiment(
        task="heatmap",
        load=load,
        build=build,
        forward=forward,
        n_steps=N_STEPS,
        batch_size=16,
        learning_rate=1e-2,
        checkpoints=checkpoints(N_STEPS),
        n_recorded=N_RECORDED,
    )


def models(n_keypoints: int, stride: int) -> dict[str, Build]:
    """Models of images whose sides are `stride` times those of the maps."""
    return both_heads(
        {
            "linear": partial(Pointwise, 1, n_keypoints, stride, 5),
            "convolutions": partial(Convolutions, 1, n_keypoints, stride),
            "hourglass": partial(Hourglass, 1, n_keypoints, stride),
        }
    )


RECORDINGS = combine(
    "heatmap",
    experiment,
    {"digits": {"load": digits}, "people": {"load": people}},
    {"digits": models(_scenes.N_CLASSES, _scenes.SIDE // MAP), "people": models(N_JOINTS, 1)},
)
