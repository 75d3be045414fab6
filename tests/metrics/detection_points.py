"""Generated points of detection, and what the network sees of them."""

from __future__ import annotations

from typing import Any

import torch

from autosurrogate import surrogates, tasks
from autosurrogate.examples import Examples


def generated(set_size: int, severity: float | None = None, n_batches: int = 12) -> list[Examples]:
    """Batches of eight points, of severities from 0 to 1 if none is given."""
    generator, made = torch.Generator().manual_seed(0), []
    for _ in range(n_batches):
        drawn = torch.rand(8, generator=generator) if severity is None else torch.full((8,), severity)
        made.append(tasks.get("detection").generate(drawn, generator, set_size))
    return made


def seen(name: str, made: Examples, set_size: int) -> torch.Tensor:
    """A column of the network's features at a temperature that is next to none."""
    loss: Any = surrogates.build(tasks.get("detection"), "set", "matching", temperatures=[1e-3])
    column = loss.network.feature_names().index(f"{name} at 0.001")
    found: torch.Tensor = loss.features(made.preds, made.target, set_size)[:, column]
    return found
