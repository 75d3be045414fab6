"""Spans: answers in passages, and where a digit is first and last seen in a row of images."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from autosurrogate.examples import Examples
from studies.models import _questions
from studies.models._experiment import Data, Experiment
from studies.training_outputs import _tables
from studies.training_outputs._networks import Build, both_heads
from studies.training_outputs._recording import checkpoints, combine

N_STEPS, N_RECORDED = 400, 512
N_QUESTIONS = 4000  # of the training split
N_ROWS = {"train": 2000, "test": 512}
LENGTHS = (6, 24)  # digits of a row
NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@cache
def passages(folder: Path) -> dict[str, Data]:
    """SQuAD and its new Wikipedia passages as in `studies.models.reader`, with features of each word of a passage.

    `features` float32 (n, L, 4 + looks): whether the word, and its beginning, is in the question, both also weighted
    by how rare the question's word is, and what the word looks like.
    """
    splits = _questions.load(folder)
    splits = {"train": _first(splits["train"], N_QUESTIONS), "test": _first(splits["test"], N_RECORDED)}
    return {split: {**_features(data), **_context(data)} for split, data in splits.items()}


def _first(data: Data, n: int) -> Data:
    return {name: array[:n] for name, array in data.items()}


def _context(data: Data) -> Data:
    return {name: data[name] for name in ("target", "text", "offsets", "answers") if name in data}


def _features(data: Data) -> Data:
    matches = []
    for start in range(0, len(data["target"]), 256):  # a matrix of words by words for each passage
        rows = slice(start, start + 256)
        question = data["question"][rows].unsqueeze(1)
        equal = ((data["passage"][rows].unsqueeze(2) == question) & (question > 0))[..., :2].float()
        rare = equal * data["rarity"][rows][:, None, :, None]
        matches.append(torch.cat([equal.amax(2), rare.amax(2)], -1))
    present = data["passage"][..., 0] > 0
    return {"features": torch.cat([torch.cat(matches), data["looks"].float()], -1), "present": present}


@cache
def rows_of_digits(folder: Path) -> dict[str, Data]:
    """Rows of images (scikit-learn), and an image of a digit of the row: the span is from its first place to its last.

    `features` float32 (n, L, 128): the pixels of each image of the row, and their products with those of the other
    image; the text is the names of the digits.
    """
    return {
        split: _drawn(*digits, N_ROWS[split], np.random.default_rng(k))
        for k, (split, digits) in enumerate(zip(N_ROWS, _tables.digit_halves(), strict=True))
    }


def _drawn(x: np.ndarray, y: np.ndarray, n: int, random: np.random.Generator) -> Data:
    longest = LENGTHS[1]
    features, present = np.zeros((n, longest, 128), np.float32), np.zeros((n, longest), np.bool_)
    target, offsets = np.zeros((n, 2), np.int64), np.zeros((n, longest, 2), np.int64)
    text = np.zeros((n, longest * 6), np.int64)
    for i in range(n):
        rows = random.integers(len(y), size=random.integers(*LENGTHS, endpoint=True))
        asked = random.choice(y[rows])
        places = np.flatnonzero(y[rows] == asked)
        features[i, : len(rows), :64] = x[rows]
        features[i, : len(rows), 64:] = x[rows] * x[random.choice(np.flatnonzero(y == asked))]
        present[i, : len(rows)] = True
        target[i] = places[0], places[-1]
        names = [NAMES[digit] for digit in y[rows]]
        ends = np.cumsum([len(name) + 1 for name in names]) - 1
        offsets[i, : len(rows)] = np.stack([ends - [len(name) for name in names], ends], 1)
        line = " ".join(names)
        text[i, : len(line)] = [ord(c) for c in line]
    arrays = {"features": features, "present": present, "target": target, "text": text, "offsets": offsets}
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


class Window(nn.Module):
    """A linear layer on the features of each position and its neighbours, (n, L, d) to (n, L, 2)."""

    def __init__(self, n_features: int, reach: int = 3) -> None:
        super().__init__()
        self.head = nn.Conv1d(n_features, 2, 2 * reach + 1, padding=reach)

    def forward(self, features: Tensor) -> Tensor:
        """Start and end logits of each position."""
        logits: Tensor = self.head(features.transpose(1, 2)).transpose(1, 2)
        return logits


class Convolutions(nn.Module):
    """Convolutions along the positions, (n, L, d) to (n, L, 2)."""

    def __init__(self, n_features: int, width: int = 32) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(n_features, width, 5, padding=2), nn.ReLU(), nn.Conv1d(width, width, 7, padding=3), nn.ReLU(),
            nn.Conv1d(width, width, 7, padding=6, dilation=2), nn.ReLU(),
        )  # fmt: skip
        self.head = nn.Linear(width, 2)

    def forward(self, features: Tensor) -> Tensor:
        """Start and end logits of each position."""
        logits: Tensor = self.head(self.body(features.transpose(1, 2)).transpose(1, 2))
        return logits


class Recurrent(nn.Module):
    """A recurrent layer in both directions, (n, L, d) to (n, L, 2)."""

    def __init__(self, n_features: int, width: int = 32) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Linear(n_features, width), nn.ReLU())
        self.recurrent = nn.GRU(width, width, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * width, 2)

    def forward(self, features: Tensor) -> Tensor:
        """Start and end logits of each position."""
        logits: Tensor = self.head(self.recurrent(self.first(features))[0])
        return logits


def forward(model: nn.Module, batch: Data) -> Examples:
    """Start and end logits (n, 2, L), -inf where a text has ended, with the text."""
    logits = model(batch["features"]).transpose(1, 2).masked_fill(~batch["present"][:, None], -math.inf)
    return Examples(logits, batch["target"], {name: batch[name] for name in CONTEXT if name in batch})


CONTEXT = ("text", "offsets", "answers")


def experiment(build: Build, load: Callable[[Path], dict[str, Data]]) -> Experiment:
    """What the data sets have in common."""
    return Experiment(
        task="span",
        load=load,
        build=build,
        forward=forward,
        n_steps=N_STEPS,
        batch_size=16,
        learning_rate=1e-2,
        checkpoints=checkpoints(N_STEPS),
        n_recorded=N_RECORDED,
    )


def models(n_features: int) -> dict[str, Build]:
    """Models of either data set."""
    return both_heads(
        {
            "linear": partial(Window, n_features),
            "convolutions": partial(Convolutions, n_features),
            "recurrent": partial(Recurrent, n_features),
        }
    )


RECORDINGS = combine(
    "span",
    experiment,
    {"passages": {"load": passages}, "rows": {"load": rows_of_digits}},
    {"passages": models(4 + len(_questions.LOOKS)), "rows": models(128)},
)
