"""A regressor: a small network that predicts how a patient's diabetes progresses, on the data that scikit-learn ships.

442 patients with 10 features each (Efron et al., Annals of Statistics 2004). More than half of them are the test split,
so that a checkpoint gives more than one set of 128.
"""

from __future__ import annotations

from pathlib import Path

import torch
from sklearn.datasets import load_diabetes
from torch import nn

from autosurrogate.examples import Examples
from studies.models._experiment import Data, Experiment

ENDS = {"train": 130, "validation": 186, "test": 442}


def load(folder: Path) -> dict[str, Data]:
    """Rows of each split: "features" (n, 10), "value" (n, 1), both standardised by the training rows."""
    features, value = (torch.from_numpy(array).float() for array in load_diabetes(return_X_y=True))
    order = torch.randperm(len(value), generator=torch.Generator().manual_seed(0))
    data = {"features": features[order], "value": value[order, None]}
    train = {name: array[: ENDS["train"]] for name, array in data.items()}
    data = {name: (array - train[name].mean(0)) / train[name].std(0) for name, array in data.items()}
    starts = [0, *ENDS.values()]
    return {
        split: {name: array[start:end] for name, array in data.items()}
        for start, (split, end) in zip(starts, ENDS.items(), strict=False)
    }


def build() -> nn.Module:
    """Features (n, 10) to values (n, 1)."""
    return nn.Sequential(nn.Linear(10, 32), nn.ELU(), nn.Dropout(0.2), nn.Linear(32, 1))


def forward(model: nn.Module, data: Data) -> Examples:
    """Predicted and true values (n, 1)."""
    return Examples(model(data["features"]), data["value"])


EXPERIMENTS = {
    "diabetes": Experiment(
        task="values",
        load=load,
        build=build,
        forward=forward,
        n_steps=800,
        batch_size=32,
        learning_rate=1e-2,
        checkpoints=(
            0,
            2,
            4,
            6,
            8,
            10,
            13,
            16,
            20,
            25,
            30,
            40,
            50,
            65,
            80,
            100,
            140,
            200,
            300,
            400,
            500,
            600,
            700,
            800,
        ),
    )
}
