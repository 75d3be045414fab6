"""Strings of digits read from an image, with CTC or with an output position for each digit."""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from autosurrogate.examples import Examples
from studies.models._experiment import Data, Experiment
from studies.training_outputs import _tables
from studies.training_outputs._networks import Build, both_heads, perceptron
from studies.training_outputs._recording import checkpoints, combine

N_STEPS, N_RECORDED = 500, 128
LONGEST = 8  # digits of a string
HEIGHT, WIDTH = 8, 8 * LONGEST  # pixels
GAP = (-1, 2)  # pixels between digits, which may overlap
LAST = 10  # the blank of CTC, or the end of a string
PAD = -100
N_STRINGS = {"train": 2000, "test": 256}


@cache
def strings(folder: Path) -> dict[str, Data]:
    """`image` float32 (n, HEIGHT, WIDTH); `target` int64 (n, LONGEST), -100 pads. Digits are scikit-learn's."""
    return {
        split: _drawn(*digits, N_STRINGS[split], np.random.default_rng(k))
        for k, (split, digits) in enumerate(zip(N_STRINGS, _tables.digit_halves(), strict=True))
    }


def _drawn(x: np.ndarray, y: np.ndarray, n: int, random: np.random.Generator) -> Data:
    images = 0.1 * random.standard_normal((n, HEIGHT, WIDTH)).astype(np.float32)
    target = np.full((n, LONGEST), PAD)
    for i in range(n):
        left = int(random.integers(0, 4))
        for k in range(random.integers(1, LONGEST, endpoint=True)):
            if left + 8 > WIDTH:
                break
            row = random.integers(len(y))
            images[i, :, left : left + 8] += x[row].reshape(8, 8)
            target[i, k] = y[row]
            left += 8 + int(random.integers(*GAP, endpoint=True))
    return {"image": torch.from_numpy(images), "target": torch.from_numpy(target)}


class Frames(nn.Module):
    """Convolutions to a frame every four pixels, and a recurrent layer over them if `recurrent`; for CTC."""

    def __init__(self, *, recurrent: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 24, 3, padding=1), nn.BatchNorm2d(24), nn.ReLU(), nn.MaxPool2d((2, 2)),
            nn.Conv2d(24, 48, 3, padding=1), nn.BatchNorm2d(48), nn.ReLU(), nn.MaxPool2d((4, 2)),
        )  # fmt: skip
        self.recurrent = nn.GRU(48, 24, batch_first=True, bidirectional=True) if recurrent else None
        self.head = nn.Linear(48, LAST + 1)

    def forward(self, images: Tensor) -> Tensor:
        """Images (n, HEIGHT, WIDTH) to logits (n, WIDTH / 4, LAST + 1)."""
        hidden = self.body(images[:, None]).squeeze(2).transpose(1, 2)
        if self.recurrent is not None:
            hidden = self.recurrent(hidden)[0]
        logits: Tensor = self.head(hidden)
        return logits


class Positions(nn.Module):
    """A perceptron from the whole image to an output for each digit and the end."""

    def __init__(self) -> None:
        super().__init__()
        self.head = perceptron(HEIGHT * WIDTH, (LONGEST + 1) * (LAST + 1), 256)

    def forward(self, images: Tensor) -> Tensor:
        """Images (n, HEIGHT, WIDTH) to logits (n, LONGEST + 1, LAST + 1)."""
        logits: Tensor = self.head(images.flatten(1)).view(-1, LONGEST + 1, LAST + 1)
        return logits


def with_blank(model: nn.Module, batch: Data) -> Examples:
    """Logits of frames, and the digits; the last class is the blank."""
    return Examples(model(batch["image"]), batch["target"], {"blank_id": torch.full((len(batch["image"]),), LAST)})


def with_end(model: nn.Module, batch: Data) -> Examples:
    """Logits of positions, and the digits followed by the end, which is the last class."""
    target = nn.functional.pad(batch["target"], (0, 1), value=PAD)
    target = target.scatter(1, (target != PAD).sum(1, keepdim=True), LAST)
    return Examples(model(batch["image"]), target, {"eos_id": torch.full((len(target),), LAST)})


def experiment(build: Build, ends: bool) -> Experiment:
    """What the models have in common."""
    return Experiment(
        task="sequence",
        load=strings,
        build=build,
        forward=with_end if ends else with_blank,
        n_steps=N_STEPS,
        batch_size=32,
        learning_rate=1e-2,
        checkpoints=checkpoints(N_STEPS),
        n_recorded=N_RECORDED,
    )


RECORDINGS = combine(
    "reading_digits",
    experiment,
    {"frames": {"ends": False}, "positions": {"ends": True}},
    {
        "frames": both_heads(
            {"convolutions": partial(Frames, recurrent=False), "recurrent": partial(Frames, recurrent=True)}
        ),
        "positions": both_heads({"mlp": Positions}),
    },
)
