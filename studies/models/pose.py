"""A pose network on rendered figures in the poses of real people (COCO's keypoints)."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autosurrogate.examples import Examples
from studies.models._experiment import Data, Experiment

FILE = "pose/coco_val2017_keypoints_2213.npz"
MIN_KEYPOINTS, MIN_BOX = 8, 32  # of a person; a box's shorter side in pixels
IMAGE, MAP = 48, 24  # sides, in pixels and in cells
SPREAD = 1.0  # of the target's peaks, in cells
VARIANTS = {"train": 8, "validation": 1, "test": 1}  # drawings of each person
FRACTIONS = {"train": 0.6, "validation": 0.1, "test": 0.3}  # of the images
# Pairs of COCO's joints that a line is drawn between.
LIMBS = (
    (0, 1), (0, 2), (1, 3), (2, 4), (5, 6), (11, 12), (5, 11), (6, 12), (5, 7), (7, 9), (6, 8), (8, 10), (11, 13),
    (13, 15), (12, 14), (14, 16),
)  # fmt: skip
MIRRORED = (0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15)
N_CLUTTER, N_PATCHES = 4, 1


def load(folder: Path) -> dict[str, Data]:
    """Rendered figures of people; all people of a photograph are in one split.

    Returns:
        Of each split: `images` uint8 (n, 3, 48, 48); `keypoints` float32 (n, 17, 2), (x, y) in cells of the map;
        `weight` float32 (n, 17); `area` and `normaliser`, the longer side of the person's box, float32 (n,), in cells.
    """
    with np.load(folder / FILE) as file:
        people = {name: torch.from_numpy(file[name]) for name in ("keypoints", "bbox", "area", "iscrowd", "image_id")}
    annotated = (people["keypoints"][..., 2] > 0).sum(1)
    kept = (annotated >= MIN_KEYPOINTS) & (people["bbox"][:, 2:].amin(1) >= MIN_BOX) & (people["iscrowd"] == 0)
    people = {name: array[kept] for name, array in people.items()}
    generator = torch.Generator().manual_seed(0)
    photographs = people["image_id"].unique()
    photographs = photographs[torch.randperm(len(photographs), generator=generator)]
    splits: dict[str, Data] = {}
    for split, fraction in FRACTIONS.items():
        n = round(fraction / sum(list(FRACTIONS.values())[list(FRACTIONS).index(split) :]) * len(photographs))
        rows = torch.isin(people["image_id"], photographs[:n]).nonzero().flatten().repeat(VARIANTS[split])
        photographs = photographs[n:]
        splits[split] = _drawn({name: array[rows] for name, array in people.items()}, split == "train", generator)
    return splits


def _drawn(people: Data, turned: bool, generator: torch.Generator) -> Data:
    """Crops of people, flipped and turned for training, rendered as figures."""
    n = len(people["area"])

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(n, *shape, generator=generator)

    box = people["bbox"]
    side = 1.25 * box[:, 2:].amax(1) * uniform(0.85, 1.3)
    centre = box[:, :2] + box[:, 2:] / 2 + 0.06 * side[:, None] * uniform(-1, 1, 2)
    places = (people["keypoints"][..., :2] - centre[:, None]) / side[:, None, None]
    weight = (people["keypoints"][..., 2] > 0).float()
    if turned:
        angle = uniform(-0.3, 0.3)
        turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], 1).view(-1, 2, 2)
        places = places @ turn
        flipped = uniform(0, 1) < 0.5
        mirrored = places[:, list(MIRRORED)] * torch.tensor([-1.0, 1.0])
        places = torch.where(flipped[:, None, None], mirrored, places)
        weight = torch.where(flipped[:, None], weight[:, list(MIRRORED)], weight)
    places = places + 0.5
    images = draw(places * IMAGE - 0.5, weight, generator)
    inside = ((places > 0) & (places < 1)).all(2)
    cells = MAP / side
    return {
        "images": images,
        "keypoints": places * MAP - 0.5,
        "weight": weight * inside,
        "area": people["area"] * cells**2,
        "normaliser": box[:, 2:].amax(1) * cells,
    }


def draw(places: Tensor, weight: Tensor, generator: torch.Generator) -> Tensor:
    """Figures of lines before and behind other lines and patches, uint8 (n, 3, 48, 48).

    Each limb has a colour of its own, mixed with the figure's.

    Args:
        places: joints, shape (n, 17, 2), (x, y) in pixels.
        weight: shape (n, 17), 0 for joints that are not known, from which no line is drawn.
        generator: of colours, widths and all that is in the way.
    """
    n = len(places)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(n, *shape, generator=generator)

    ground = F.interpolate(uniform(3, 4, 4), (IMAGE, IMAGE), mode="bilinear")
    image = 0.4 * uniform(3, 1, 1) + 0.3 * ground
    colour, thick = uniform(3), 0.7 + 1.3 * uniform()
    own = 0.4 + 0.6 * uniform(1)
    hues = 2 * math.pi * (torch.arange(len(LIMBS))[:, None] * 0.382 + torch.arange(3) / 3)
    palette = 0.5 + 0.5 * hues.cos()  # hues of limbs that follow each other are far apart
    for k in range(N_CLUTTER):
        if k == N_CLUTTER // 2:  # the rest are in front of the figure
            for (a, b), hue in zip(LIMBS, palette, strict=True):
                shade = colour + own * (hue - colour) + 0.15 * (uniform(3) - 0.5)
                known = (weight[:, a] * weight[:, b])[:, None, None]
                image = _over(image, shade, known * _line(places[:, a], places[:, b], thick))
            head = 2.5 * thick[:, None, None]
            image = _over(image, colour, weight[:, 0, None, None] * _line(places[:, 0], places[:, 0], head[:, 0, 0]))
        start = IMAGE * uniform(2)
        line = _line(start, start + 0.5 * IMAGE * (uniform(2) - 0.5), thick)
        image = _over(image, torch.where(uniform(1) < 0.5, colour, uniform(3)), line)
    pixel = torch.arange(IMAGE)
    for _ in range(N_PATCHES):
        start, size = IMAGE * uniform(2), IMAGE * (0.05 + 0.2 * uniform(2))
        along = [(pixel >= start[:, i, None]) & (pixel < (start + size)[:, i, None]) for i in range(2)]
        image = _over(image, uniform(3), (along[1][:, :, None] & along[0][:, None, :]).float())
    image = image + 0.05 * torch.randn(image.shape, generator=generator)
    return (255 * image.clamp(0, 1)).round().to(torch.uint8)


def _over(image: Tensor, colour: Tensor, cover: Tensor) -> Tensor:
    """The images with a colour (n, 3) over them where `cover` (n, 48, 48) is 1."""
    return image + cover[:, None] * (colour[:, :, None, None] - image)


def _line(start: Tensor, end: Tensor, thick: Tensor) -> Tensor:
    """How much of each pixel a line covers, (n, 48, 48); ends (n, 2), half of its width (n,)."""
    y, x = torch.meshgrid(torch.arange(IMAGE), torch.arange(IMAGE), indexing="ij")
    from_start = torch.stack([x, y], -1) - start[:, None, None]
    along = (end - start)[:, None, None]
    position = ((from_start * along).sum(-1) / along.square().sum(-1).clamp_min(1e-6)).clamp(0, 1)
    away = (from_start - position[..., None] * along).norm(dim=-1)
    return (thick[:, None, None] + 0.5 - away).clamp(0, 1)


class Pose(nn.Module):
    """Convolutions down to a quarter of the map's resolution and up again, with connections across."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(_block(3, 16), _block(16, 32, stride=2))
        self.down = nn.ModuleList([_block(32, 48, stride=2), _block(48, 64, stride=2)])
        self.bottom = _block(64, 64)
        self.across = nn.ModuleList([nn.Conv2d(48, 64, 1), nn.Conv2d(32, 48, 1)])
        self.up = nn.ModuleList([_block(64, 48), _block(48, 48)])
        self.maps = nn.Conv2d(48, 17, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Images (n, 3, 48, 48) in [0, 1] to heatmaps (n, 17, 24, 24)."""
        levels = [self.first(images)]
        for down in self.down:
            levels.append(down(levels[-1]))
        hidden = self.bottom(levels.pop())
        for across, up in zip(self.across, self.up, strict=True):
            hidden = up(F.interpolate(hidden, scale_factor=2.0) + across(levels.pop()))
        heatmaps: Tensor = self.maps(hidden)
        return heatmaps


def _block(n_in: int, n_out: int, stride: int = 1) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(n_in, n_out, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU()
    )


def forward(model: nn.Module, batch: Data) -> Examples:
    """Predicted heatmaps and target heatmaps, a Gaussian around each annotated keypoint."""
    cell = torch.arange(MAP, device=batch["keypoints"].device)
    near = torch.exp(-0.5 * ((cell - batch["keypoints"][..., None]) / SPREAD) ** 2)
    target = near[:, :, 1, :, None] * near[:, :, 0, None, :] * batch["weight"][..., None, None]
    extras = {name: batch[name] for name in ("weight", "area", "normaliser")}
    return Examples(model(batch["images"].float() / 255), target.half(), extras)


EXPERIMENTS = {
    "pose": Experiment(
        task="heatmap",
        load=load,
        build=Pose,
        forward=forward,
        n_steps=1500,
        batch_size=32,
        learning_rate=3e-2,
        checkpoints=(50, 120, 250, 450, 800, 1500),
        n_recorded=300,
    )
}
