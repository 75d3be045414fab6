"""Reading a loss that was exported."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from autosurrogate.errors import LossFileError
from autosurrogate.examples import Examples
from autosurrogate.export.writer import METADATA
from autosurrogate.surrogates import arguments
from autosurrogate.tasks import Task

NEEDED = {"metric", "spec", "task", "level", "set_size", "higher_is_better", "held_out", "descent", "versions"}


def load(path: str | Path, device: torch.device | str = "cpu") -> tuple[Any, dict[str, Any]]:
    """An exported loss and its metadata.

    Raises:
        LossFileError: the file is not there, or was not written by `autosurrogate fit`.
    """
    extra = {METADATA: ""}
    if not Path(path).is_file():
        what = "is a folder" if Path(path).is_dir() else "no such file"
        raise LossFileError(f"{path}: {what}; expected a loss written by `autosurrogate fit`")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            loss = torch.jit.load(str(path), map_location=device, _extra_files=extra)  # type: ignore[no-untyped-call]
        metadata: dict[str, Any] = json.loads(extra[METADATA])
        if not isinstance(metadata, dict) or not metadata.keys() >= NEEDED:
            raise ValueError("the metadata are not a loss's")
    except (RuntimeError, ValueError) as e:
        near = Path(path).with_suffix(".pt")
        hint = f"; pass {near}" if Path(path).suffix == ".pt2" and near.is_file() else ""
        raise LossFileError(
            f"{path}: is not a loss written by `autosurrogate fit` (a TorchScript file with metadata){hint}"
        ) from e
    return loss, metadata


def losses_of_points(loss: Any, task: Task, examples: Examples, set_size: int | None) -> Tensor:
    """The exported loss of each point.

    Args:
        loss: from `load`.
        task: the task it is for.
        examples: point by point.
        set_size: examples a point; None where each example is one.

    Returns:
        Shape (n_points,).
    """
    task.configure(loss, examples)
    with torch.no_grad():
        if set_size is None:
            found: Tensor = loss.per_sample(*arguments(task, examples))
            return found
        return torch.stack([loss(*arguments(task, part)) for part in _sets(examples, set_size)])


def _sets(examples: Examples, set_size: int) -> Iterator[Examples]:
    for start in range(0, len(examples), set_size):
        yield examples[slice(start, start + set_size)]
