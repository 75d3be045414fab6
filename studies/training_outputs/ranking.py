"""Lists: documents of queries, patients in order of their disease, and images of the digit that a query shows."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from autosurrogate.examples import Examples
from studies.models import ranker
from studies.models._experiment import Data, Experiment
from studies.training_outputs import _tables
from studies.training_outputs._networks import Build, both_heads, perceptron
from studies.training_outputs._recording import checkpoints, combine

N_STEPS, N_RECORDED = 500, 300
N_LISTS = {"train": 600, "test": 300}
PATIENTS, IMAGES = (5, 40), (10, 60)  # the fewest and the most items of a list


@cache
def documents(folder: Path) -> dict[str, Data]:
    """LightGBM's example: up to 27 documents a query, graded 0 to 4; its validation queries are tested on, too."""
    splits = ranker.load(folder)
    pad = nn.utils.rnn.pad_sequence
    test = {}
    for name, fill in (("features", 0.0), ("relevance", -1.0)):
        rows = [row for split in ("validation", "test") for row in splits[split][name]]
        test[name] = pad(rows, batch_first=True, padding_value=fill)
    return {"train": splits["train"], "test": test}


def patients(folder: Path) -> dict[str, Data]:
    """Random lists of patients (scikit-learn's diabetes), graded 0 to 4 by the fifth that their disease falls in."""
    from sklearn.datasets import load_diabetes

    x, y = load_diabetes(return_X_y=True)
    grades = np.searchsorted(np.quantile(y, [0.2, 0.4, 0.6, 0.8]), y)
    splits = _tables.split(x, grades)
    return {
        split: _lists(
            splits[split]["x"].numpy(), splits[split]["y"].numpy(), N_LISTS[split], PATIENTS, np.random.default_rng(k)
        )
        for k, split in enumerate(splits)
    }


def _lists(
    x: np.ndarray, grades: np.ndarray, n_lists: int, sizes: tuple[int, int], random: np.random.Generator
) -> Data:
    features, relevance = [], []
    for _ in range(n_lists):
        rows = random.choice(len(x), random.integers(*sizes, endpoint=True), replace=False)
        features.append(torch.tensor(x[rows], dtype=torch.float32))
        relevance.append(torch.tensor(grades[rows]))
    return _stacked(features, relevance)


@cache
def images(folder: Path) -> dict[str, Data]:
    """Random lists of digits (scikit-learn), relevant if they are of the class of the query, which comes with each."""
    halves = dict(zip(N_LISTS, _tables.digit_halves(), strict=True))
    splits = {}
    for k, (split, (x, y)) in enumerate(halves.items()):
        random = np.random.default_rng(k)
        features, relevance = [], []
        for _ in range(N_LISTS[split]):
            query, *rows = random.choice(len(x), 1 + random.integers(*IMAGES, endpoint=True), replace=False)
            pairs = np.concatenate([np.broadcast_to(x[query], (len(rows), 64)), x[rows]], 1)
            features.append(torch.tensor(pairs, dtype=torch.float32))
            relevance.append(torch.tensor((y[rows] == y[query]).astype(np.int64)))
        splits[split] = _stacked(features, relevance)
    return splits


def _stacked(features: list[Tensor], relevance: list[Tensor]) -> Data:
    pad = nn.utils.rnn.pad_sequence
    return {
        "features": pad(features, batch_first=True),
        "relevance": pad(relevance, batch_first=True, padding_value=-1),
    }


class Siamese(nn.Module):
    """Scores of pairs (n, L, 128): a linear map of the product of both images' embeddings."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.embed = nn.Linear(64, width)
        self.head = nn.Linear(width, 1)

    def forward(self, pairs: Tensor) -> Tensor:
        """Shape (n, L, 1)."""
        query, image = (self.embed(half) for half in pairs.chunk(2, -1))
        scores: Tensor = self.head(query * image)
        return scores


class Difference(nn.Module):
    """Scores of pairs (n, L, 128): linear in how much each pixel differs."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(64, 1)

    def forward(self, pairs: Tensor) -> Tensor:
        """Shape (n, L, 1)."""
        query, image = pairs.chunk(2, -1)
        scores: Tensor = self.head((query - image).abs())
        return scores


def forward(model: nn.Module, data: Data) -> Examples:
    """Scores (n, L) and relevance (n, L), -1 pads."""
    return Examples(model(data["features"]).squeeze(-1), data["relevance"].long())


def experiment(build: Build, load: Callable[[Path], dict[str, Data]]) -> Experiment:
    """What the data sets have in common."""
    return Experiment(
        task="ranking",
        load=load,
        build=build,
        forward=forward,
        n_steps=N_STEPS,
        batch_size=16,
        learning_rate=5e-3,
        checkpoints=checkpoints(N_STEPS),
        n_recorded=N_RECORDED,
    )


def models(n_features: int) -> dict[str, Build]:
    """Models that score each item by its own features."""
    return both_heads({"linear": partial(perceptron, n_features, 1), "mlp": partial(perceptron, n_features, 1, 32)})


RECORDINGS = combine(
    "ranking",
    experiment,
    {"documents": {"load": documents}, "patients": {"load": patients}, "images": {"load": images}},
    {
        "documents": models(ranker.N_FEATURES),
        "patients": models(10),
        "images": both_heads({"siamese": Siamese, "difference": Difference}),
    },
)
