"""Losses to be timed."""

from __future__ import annotations

from pathlib import Path

from autosurrogate.export import ready
from studies.training import _fitting
from studies.training._losses import LOSSES


def loss_of(metric: str) -> Path:
    """The ready loss of a metric; without one, a loss that is fitted for twenty seconds, and kept."""
    if metric in ready.names():
        return ready.path(metric)
    path = LOSSES / f"speed-{metric}.pt"
    if not path.exists():
        LOSSES.mkdir(exist_ok=True)
        _fitting.fit(metric, path, ("--budget", "20s", "--force"))
    return path
