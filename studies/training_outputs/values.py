"""Quantities: one, standardised or as it comes, and several at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from torch import nn

from autosurrogate.examples import Examples
from studies.models._experiment import Data, Experiment
from studies.training_outputs import _tables
from studies.training_outputs._networks import Build, both_heads, perceptron
from studies.training_outputs._recording import checkpoints, combine

N_STEPS, N_RECORDED = 1000, 1024


def diabetes(folder: Path) -> dict[str, Data]:
    """The progress of a disease (scikit-learn), standardised."""
    from sklearn.datasets import load_diabetes

    x, y = load_diabetes(return_X_y=True)
    return _tables.split(x, ((y - y.mean()) / y.std())[:, None])


def friedman(folder: Path) -> dict[str, Data]:
    """A noisy function of ten features (`make_friedman1`), about 14 on average: models start far from it."""
    from sklearn.datasets import make_friedman1

    x, y = make_friedman1(2048, noise=1.0, random_state=0)
    return _tables.split(x, y[:, None])


def lower_half(folder: Path) -> dict[str, Data]:
    """The mean ink of four blocks of the lower half of a digit, from its upper half (scikit-learn)."""
    pixels = _tables.digits()[0].reshape(-1, 8, 8)
    blocks = pixels[:, 4:].reshape(-1, 4, 4, 2).mean((1, 3))
    return _tables.split(pixels[:, :4].reshape(-1, 32), blocks)


def forward(model: nn.Module, batch: Data) -> Examples:
    """Predicted and true values (n, D)."""
    return Examples(model(batch["x"]), batch["y"])


def experiment(build: Build, load: Callable[[Path], dict[str, Data]], learning_rate: float = 5e-3) -> Experiment:
    """What the data sets have in common."""
    return Experiment(
        task="values",
        load=load,
        build=build,
        forward=forward,
        n_steps=N_STEPS,
        batch_size=64,
        learning_rate=learning_rate,
        checkpoints=checkpoints(N_STEPS),
        n_recorded=N_RECORDED,
    )


def models(n_features: int, n_outputs: int) -> dict[str, Build]:
    """Models of a table."""
    return both_heads(
        {
            "linear": partial(perceptron, n_features, n_outputs),
            "mlp": partial(perceptron, n_features, n_outputs, 32),
        }
    )


RECORDINGS = combine(
    "values",
    experiment,
    {
        "diabetes": {"load": diabetes},
        "friedman": {"load": friedman, "learning_rate": 5e-2},
        "lower_half": {"load": lower_half},
    },
    {"diabetes": models(10, 1), "friedman": models(10, 1), "lower_half": models(32, 4)},
)
