"""Small networks on tables with few positives: oil_spill, phoneme, haberman and breast_cancer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from autosurrogate.examples import Examples
from studies.models._experiment import Data, Experiment

FRACTIONS = {"train": 0.5, "validation": 0.2, "test": 0.3}
WIDTH = 64


def load(read: Callable[[Path], tuple[np.ndarray, np.ndarray]], folder: Path) -> dict[str, Data]:
    """A table in three parts, see `split`.

    Args:
        read: folder of the real data to the inputs (n, d) and the targets (n,), 1 for the rarer class.
        folder: of the real data.
    """
    return split(*read(folder), seed=0)


def split(x: np.ndarray, y: np.ndarray, seed: int) -> dict[str, Data]:
    """Three random parts with the same fraction of positives; columns are standardised by the first.

    Args:
        x: shape (n, d).
        y: shape (n,), 0 or 1.
        seed: of the random split.
    """
    shuffled = np.random.default_rng(seed).permutation(len(y))
    parts: dict[str, list[np.ndarray]] = {name: [] for name in FRACTIONS}
    for label in (0, 1):
        rows = shuffled[y[shuffled] == label]
        ends = np.round(np.cumsum([*FRACTIONS.values()])[:-1] * len(rows)).astype(int)
        for name, indices in zip(FRACTIONS, np.split(rows, ends), strict=True):
            parts[name].append(indices)
    rows_of = {name: np.sort(np.concatenate(indices)) for name, indices in parts.items()}
    mean, deviation = x[rows_of["train"]].mean(0), x[rows_of["train"]].std(0)
    x = (x - mean) / np.where(deviation > 0, deviation, 1)
    return {
        name: {"x": torch.tensor(x[rows], dtype=torch.float32), "y": torch.tensor(y[rows], dtype=torch.int64)}
        for name, rows in rows_of.items()
    }


def split_again(data: Mapping[str, Data], seed: int) -> dict[str, Data]:
    """Split the rows of all parts again."""
    x, y = (np.concatenate([arrays[name].numpy() for arrays in data.values()]) for name in ("x", "y"))
    return split(x.astype(np.float64), y, seed)


def packed(name: str, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """A table of the folder `imbalanced`."""
    with np.load(folder / "imbalanced" / f"{name}.npz") as file:
        return file["x"].astype(np.float64), file["y"].astype(np.int64)


def breast_cancer(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """The table that comes with scikit-learn; 1 is malignant."""
    from sklearn.datasets import load_breast_cancer

    x, benign = load_breast_cancer(return_X_y=True)
    return x, 1 - benign


def build(n_columns: int) -> nn.Module:
    """A perceptron with two hidden layers."""
    return nn.Sequential(
        nn.Linear(n_columns, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 1)
    )


def forward(model: nn.Module, batch: Data) -> Examples:
    """Logits (n,) and targets (n,) of the task `scores`."""
    logits: Tensor = model(batch["x"])
    return Examples(logits.squeeze(1), batch["y"])


def experiment(
    read: Callable[[Path], tuple[np.ndarray, np.ndarray]], n_columns: int, n_steps: int, checkpoints: tuple[int, ...]
) -> Experiment:
    """What the tables have in common."""
    return Experiment(
        task="scores",
        load=partial(load, read),
        build=partial(build, n_columns),
        forward=forward,
        n_steps=n_steps,
        batch_size=64,
        learning_rate=3e-3,
        checkpoints=checkpoints,
    )


EARLY = (0, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128)
EXPERIMENTS = {
    "oil_spill": experiment(partial(packed, "oil_spill"), 49, 800, (*EARLY, 192, 256, 384, 512, 800)),
    "phoneme": experiment(partial(packed, "phoneme"), 5, 4000, (0, 4, 8, 16, 32, 64, 128, 256, 512, 1000, 2000, 4000)),
    "haberman": experiment(partial(packed, "haberman"), 3, 800, (*EARLY, 192, 256, 384, 512, 800)),
    "breast_cancer": experiment(breast_cancer, 30, 300, (*EARLY, 192, 300)),
}
