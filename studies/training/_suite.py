"""All experiments, and one training of any of them in a process of its own."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from studies.training._comparison import Comparison, Fit
from studies.training._runs import Run, train_and_measure

MODULES = (  # in the order they are run
    "translation",
    "imbalanced",
    "recognition",
    "reading",
    "classification",
    "pose",
    "ranking",
    "segmentation",
    "detection",
    "autoregressive",
)


SCALES = ("small", "paper")  # of the experiments of the table
NAMED = {"small": "COMPARISONS", "paper": "PAPER_SCALE", "studies": "STUDIED"}


def comparisons(scale: str = "small") -> dict[str, Comparison]:
    """All experiments by name, in the order of their files in `MODULES`.

    Args:
        scale: "small"; "paper" for those that have a model as large as the paper's; "studies" for those that
            `studies.paper` alone needs.
    """
    by_name: dict[str, Comparison] = {}
    for module in MODULES:
        by_name |= getattr(importlib.import_module(f"studies.training.{module}"), NAMED[scale], {})
    return by_name


def train_one(
    wanted: Run, scale: str, folder: Path, loss: Path | None, n_threads: int, device: str, fit: Fit | None
) -> dict[str, Any]:
    """One training, see `train_and_measure`; here, because processes cannot import it from `__main__`."""
    return train_and_measure(wanted, comparisons(scale)[wanted.experiment], folder, loss, n_threads, device, fit=fit)
