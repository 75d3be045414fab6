"""Reading an exported loss."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from autosurrogate.errors import LossFileError
from autosurrogate.examples import Examples
from autosurrogate.export.metadata import LossMetadata
from autosurrogate.export.writer import METADATA
from autosurrogate.surrogates import loss_arguments
from autosurrogate.tasks import Task

_NO_LOSS = "is not a loss written by `autosurrogate fit` (a TorchScript file with metadata)"


def load(path: str | Path, device: torch.device | str = "cpu") -> tuple[Any, LossMetadata]:
    """An exported loss and its metadata.

    Raises:
        LossFileError: there is no such file, or it is not a loss that this version of autosurrogate reads.
    """
    extra = {METADATA: ""}
    if not Path(path).is_file():
        problem = "is a folder" if Path(path).is_dir() else "no such file"
        raise LossFileError(f"{path}: {problem}; expected a loss written by `autosurrogate fit`")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            loss = torch.jit.load(str(path), map_location=device, _extra_files=extra)  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError) as e:
        raise LossFileError(f"{path}: {_NO_LOSS}{_hint(Path(path))}") from e
    if not extra[METADATA]:
        raise LossFileError(f"{path}: {_NO_LOSS}")
    try:
        return loss, LossMetadata.from_json(extra[METADATA])
    except LossFileError as e:
        raise LossFileError(f"{path}: {e}") from e


def _hint(path: Path) -> str:
    """The loss beside a `torch.export` program, which the user meant."""
    loss = path.with_suffix(".pt")
    return f"; pass {loss}" if path.suffix == ".pt2" and loss.is_file() else ""


def losses_of_points(loss: Any, task: Task, examples: Examples, set_size: int | None) -> Tensor:
    """The value of an exported loss on each point.

    Args:
        loss: from `load`.
        task: the task that the loss is for.
        examples: those of the first point, then those of the second, and so on.
        set_size: examples a point; None where each example is a point.

    Returns:
        Shape (n_points,).
    """
    task.configure(loss, examples)
    with torch.no_grad():
        if set_size is None:
            losses: Tensor = loss.per_sample(*loss_arguments(task, examples))
            return losses
        return torch.stack([loss(*loss_arguments(task, one_set)) for one_set in _sets(examples, set_size)])


def _sets(examples: Examples, set_size: int) -> Iterator[Examples]:
    for start in range(0, len(examples), set_size):
        yield examples[slice(start, start + set_size)]
