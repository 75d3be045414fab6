"""Classes of images and of clusters, of which there are up to 100, some rare."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

from autosurrogate.examples import Examples
from studies.models._experiment import Data, Experiment
from studies.training_outputs import _tables
from studies.training_outputs._networks import Build, ImageClassifier, both_heads, perceptron
from studies.training_outputs._recording import checkpoints, combine

N_STEPS, N_RECORDED = 1000, 1024


def digits(folder: Path) -> dict[str, Data]:
    """8 x 8 images of ten digits, of scikit-learn."""
    return _tables.split(*_tables.digits())


@cache
def fashion(folder: Path) -> dict[str, Data]:
    """28 x 28 images of ten kinds of clothes."""
    with np.load(folder / "image_classification" / "fashion_mnist_14k.npz") as file:
        arrays = {name: file[name] for name in file.files}
    return {
        split: {
            "x": torch.tensor(arrays[f"{split}_images"].reshape(-1, 784) / 127.5 - 1, dtype=torch.float32),
            "y": torch.tensor(arrays[f"{split}_labels"], dtype=torch.int64),
        }
        for split in ("train", "test")
    }


def clusters(folder: Path, *, n_classes: int, n_features: int, balanced: bool) -> dict[str, Data]:
    """Overlapping clusters of points (`make_classification`), equally frequent or each less than the one before."""
    from sklearn.datasets import make_classification

    frequency = np.ones(n_classes) if balanced else 0.9 ** np.arange(n_classes)
    x, y = make_classification(
        n_samples=4096, n_features=n_features, n_informative=n_features, n_redundant=0, n_classes=n_classes,
        n_clusters_per_class=1, class_sep=1.2, weights=frequency / frequency.sum(), random_state=0,
    )  # fmt: skip
    return _tables.split(x, y)


def forward(model: nn.Module, batch: Data) -> Examples:
    """Logits (n, C) and classes (n,)."""
    return Examples(model(batch["x"]), batch["y"])


def experiment(build: Build, load: Callable[[Path], dict[str, Data]], learning_rate: float = 1e-2) -> Experiment:
    """What the data sets have in common."""
    return Experiment(
        task="classification",
        load=load,
        build=build,
        forward=forward,
        n_steps=N_STEPS,
        batch_size=64,
        learning_rate=learning_rate,
        checkpoints=checkpoints(N_STEPS),
        n_recorded=N_RECORDED,
    )


def tables(n_features: int, n_classes: int) -> dict[str, Build]:
    """Models of clusters."""
    return both_heads(
        {
            "linear": partial(perceptron, n_features, n_classes),
            "mlp": partial(perceptron, n_features, n_classes, 64, 64),
        }
    )


def images(side: int) -> dict[str, Build]:
    """Models of images."""
    return tables(side**2, 10) | both_heads({"convolutions": partial(ImageClassifier, side, 10)})


RECORDINGS = combine(
    "classification",
    experiment,
    {
        "digits": {"load": digits},
        "fashion": {"load": fashion, "learning_rate": 3e-3},
        "clusters_26": {"load": partial(clusters, n_classes=26, n_features=12, balanced=False)},
        "clusters_100": {"load": partial(clusters, n_classes=100, n_features=16, balanced=True)},
    },
    {
        "digits": images(8),
        "fashion": images(28),
        "clusters_26": tables(12, 26),
        "clusters_100": tables(16, 100),
    },
)
