"""A ranker of documents: a small network that scores each document of a query by its features.

The data is LightGBM's example of learning to rank, `ranking/lightgbm_lambdarank.npz`: 251 queries of up to 27
documents with 301 features and grades from 0 to 4; its own test queries are the test split.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from autosurrogate.examples import Examples
from studies.models._experiment import Data, Experiment

N_FEATURES = 301
N_TRAIN = 161  # of the 201 training queries; the others are for validation


def load(folder: Path) -> dict[str, Data]:
    """Lists of each split: "features" (n, L, 301), standardised, and "relevance" (n, L), -1 pads."""
    with np.load(folder / "ranking" / "lightgbm_lambdarank.npz") as arrays:
        train = _lists(arrays["train_x"], arrays["train_y"], arrays["train_query_sizes"])
        test = _lists(arrays["test_x"], arrays["test_y"], arrays["test_query_sizes"])
    order = torch.randperm(len(train["relevance"]), generator=torch.Generator().manual_seed(0))
    splits = {
        "train": {name: array[order[:N_TRAIN]] for name, array in train.items()},
        "validation": {name: array[order[N_TRAIN:]] for name, array in train.items()},
        "test": test,
    }
    documents = splits["train"]["features"][splits["train"]["relevance"] >= 0]
    mean, deviation = documents.mean(0), documents.std(0).clamp_min(1e-3)
    return {
        split: {**data, "features": ((data["features"] - mean) / deviation).clamp(-5, 5)}
        for split, data in splits.items()
    }


def _lists(features: np.ndarray, grades: np.ndarray, sizes: np.ndarray) -> dict[str, Tensor]:
    """Consecutive documents as lists of one length; those without a relevant document are left out."""
    ends = sizes.cumsum()[:-1]
    lists = [
        (torch.from_numpy(x), torch.from_numpy(y.astype(np.int64)))
        for x, y in zip(np.split(features, ends), np.split(grades, ends), strict=True)
        if y.any()
    ]
    pad = nn.utils.rnn.pad_sequence
    return {
        "features": pad([x for x, _ in lists], batch_first=True),
        "relevance": pad([y for _, y in lists], batch_first=True, padding_value=-1),
    }


def build() -> nn.Module:
    """Features (n, L, 301) to scores (n, L, 1), each document for itself."""
    return nn.Sequential(nn.Dropout(0.3), nn.Linear(N_FEATURES, 32), nn.ELU(), nn.Dropout(0.3), nn.Linear(32, 1))


def forward(model: nn.Module, data: Data) -> Examples:
    """Scores (n, L) of the documents of each query, and their relevance."""
    return Examples(model(data["features"]).squeeze(-1), data["relevance"])


EXPERIMENTS = {
    "ranker": Experiment(
        task="ranking",
        load=load,
        build=build,
        forward=forward,
        n_steps=300,
        batch_size=16,
        learning_rate=3e-3,
        checkpoints=(0, 2, 4, 8, 12, 16, 24, 36, 60, 100, 180, 300),
    )
}
