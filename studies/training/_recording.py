"""Recorded outputs as the fits of experiments need them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from autosurrogate.outputs.array_files import write
from autosurrogate.registry.lookup import find

N_SETS = 10  # that a source of recorded outputs is to have


def n_needed(metric: str) -> int:
    """How many rows a source of recorded outputs is to have, so that a loss can be fitted to a metric."""
    return N_SETS * find(metric).set_size


def repeat(path: Path, out: Path, n_rows: int) -> None:
    """Write recorded outputs again, repeated where a source has fewer rows: a small table has no set of 128 otherwise.

    Args:
        path: what is recorded, `.npz`.
        out: where to write; may be the same.
        n_rows: that each source is to have, at least.
    """
    with np.load(path) as file:
        arrays = dict(file)
    n_times = -(-n_rows // int(np.unique(arrays["source"], return_counts=True)[1].min()))
    write(out, {key: np.repeat(array, n_times, axis=0) for key, array in arrays.items()})


def uniformly_random(task: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The same targets with uniformly random predictions: probabilities, heatmaps or values in [0, 1].

    Args:
        task: name of the task.
        arrays: of recorded outputs.
    """
    preds = np.asarray(arrays["preds"], np.float32)
    values = np.random.default_rng(0).uniform(1e-4, 1 - 1e-4, preds.shape)
    if task == "scores":
        values = np.log(values / (1 - values))
    elif task == "detection":
        values[..., 4:] = np.log(values[..., 4:] / (1 - values[..., 4:]))
        corners = values[..., :4] * np.abs(preds[..., :4]).max()
        low, high = np.minimum(corners[..., :2], corners[..., 2:]), np.maximum(corners[..., :2], corners[..., 2:])
        values[..., :4] = np.concatenate([low, high], -1)
    elif task in ("classification", "sequence", "span", "segmentation"):
        values = np.log(values)
    values = np.where(np.isfinite(preds), values, -math.inf).astype(np.float32)
    return {**arrays, "preds": values}
