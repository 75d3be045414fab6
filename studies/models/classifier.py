"""Small residual networks on images: Fashion-MNIST and a tenth of CIFAR-10."""

from __future__ import annotations

import io
import itertools
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from autosurrogate.examples import Examples
from studies.models._experiment import Data, Experiment

N_TRAIN, N_VALIDATION, N_TEST = 8000, 2000, 4000


def fashion_mnist(folder: Path) -> dict[str, Data]:
    """Images float (n, 1, 28, 28), standardised, and classes (n,)."""
    with np.load(folder / "image_classification" / "fashion_mnist_14k.npz") as file:
        train, test = ((file[f"{k}_images"][..., None], file[f"{k}_labels"]) for k in ("train", "test"))
    return _splits(train, test, N_TRAIN, N_TEST)


def cifar10(folder: Path, n_train: int = N_TRAIN, n_test: int = N_TEST) -> dict[str, Data]:
    """The first images, as many of each class, 2,000 more for validation: (n, 3, 32, 32)."""
    with np.load(folder / "image_classification" / "cifar10_jpeg.npz") as file:
        arrays = dict(file)
    return _splits(_decoded(arrays, "train", n_train + N_VALIDATION), _decoded(arrays, "test", n_test), n_train, n_test)


def _decoded(arrays: dict[str, np.ndarray], split: str, n: int) -> tuple[np.ndarray, np.ndarray]:
    encoded, offsets = arrays[f"{split}_jpeg"], arrays[f"{split}_offsets"]
    ends = itertools.pairwise(offsets[: n + 1])
    images = [np.asarray(Image.open(io.BytesIO(encoded[start:end].tobytes()))) for start, end in ends]
    return np.stack(images), arrays[f"{split}_labels"][:n]


def _splits(
    train: tuple[np.ndarray, np.ndarray], test: tuple[np.ndarray, np.ndarray], n_train: int, n_test: int
) -> dict[str, Data]:
    splits = {
        "train": [array[:n_train] for array in train],
        "validation": [array[n_train : n_train + N_VALIDATION] for array in train],
        "test": [array[:n_test] for array in test],
    }
    mean, deviation = splits["train"][0].mean((0, 1, 2)), splits["train"][0].std((0, 1, 2))
    return {
        split: {
            "image": torch.tensor((images - mean) / deviation, dtype=torch.float32).permute(0, 3, 1, 2).contiguous(),
            "label": torch.tensor(labels, dtype=torch.int64),
        }
        for split, (images, labels) in splits.items()
    }


class ResNet(nn.Module):
    """Three stages of residual blocks (He et al., CVPR 2016, section 4.2): 6 * n_blocks + 2 layers.

    Args:
        n_channels: of the images.
        n_blocks: a stage.
        width: channels of the first stage; doubled twice.
    """

    def __init__(self, n_channels: int, n_blocks: int = 1, width: int = 16, n_classes: int = 10) -> None:
        super().__init__()
        self.first = nn.Sequential(
            nn.Conv2d(n_channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
        )
        blocks: list[nn.Module] = []
        n_in = width
        for stage in range(3):
            for k in range(n_blocks):
                blocks.append(_Block(n_in, width << stage, 2 if stage > 0 and k == 0 else 1))
                n_in = width << stage
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(n_in, n_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Images (n, channels, H, W) to logits (n, n_classes)."""
        logits: Tensor = self.head(self.blocks(self.first(images)).mean((2, 3)))
        return logits


class _Block(nn.Module):
    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(n_in, n_out, 3, stride, padding=1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU(),
            nn.Conv2d(n_out, n_out, 3, padding=1, bias=False), nn.BatchNorm2d(n_out),
        )  # fmt: skip
        self.stride, self.n_more = stride, n_out - n_in

    def forward(self, hidden: Tensor) -> Tensor:
        skipped = F.pad(hidden[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.n_more))
        return F.relu(skipped + self.body(hidden))


def forward(model: nn.Module, data: Data) -> Examples:
    """Logits of images; in training, of images mirrored and moved by up to two pixels at random."""
    images = data["image"]
    if model.training:
        mirrored = torch.rand(len(images), device=images.device) < 0.5
        images = torch.where(mirrored[:, None, None, None], images.flip(3), images)
        down, right = torch.randint(-2, 3, (2,)).tolist()
        images = images.roll((down, right), (2, 3))
    return Examples(model(images), data["label"])


EXPERIMENTS = {
    name: Experiment(
        task="classification",
        load=load,
        build=partial(ResNet, n_channels, width=12),
        forward=forward,
        n_steps=600,
        batch_size=128,
        learning_rate=1e-2,
        checkpoints=(0, 10, 30, 80, 200, 400, 600),
    )
    for name, load, n_channels in (("fashion_mnist", fashion_mnist, 1), ("cifar10", cifar10, 3))
}
