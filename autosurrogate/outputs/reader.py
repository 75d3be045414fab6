"""Reading recorded outputs (G_M) of real models.

A file is `.npz` or `.safetensors` and holds `preds`, `target`, the further arrays that its task has (`preds_mask` of
a sequence, the text of a passage), and optionally `source`: an integer for each row, the model or checkpoint that the
row comes from.
Arrays whose name begins with an underscore are not read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from autosurrogate._utils.text import one_line
from autosurrogate.errors import AutosurrogateError, OptionError, OutputsError
from autosurrogate.examples import Examples
from autosurrogate.outputs.array_files import naming, open_arrays
from autosurrogate.tasks import Task

_ELEMENTS_AT_ONCE = 1 << 24  # bounds the memory of checking preds


@dataclass(frozen=True)
class Recorded:
    """Predictions of real models with their targets.

    Args:
        examples: n of them, preds in the dtype of the file.
        source: int64 (n,), which model or checkpoint each comes from.
        name: the file, for messages.
    """

    examples: Examples
    source: Tensor
    name: str = "recorded outputs"

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, rows: Tensor) -> Recorded:
        return Recorded(self.examples[rows], self.source[rows], self.name)

    def with_target(self, task: Task) -> Recorded:
        """The rows that have a target: a metric of single examples cannot be called on the others.

        Raises:
            OutputsError: no row has one.
        """
        has_target = task.has_target(self.examples)
        if has_target is None or has_target.all():
            return self
        if not has_target.any():
            raise OutputsError(f"{self.name}: no row has a target; all are left out")
        return self[torch.from_numpy(np.flatnonzero(has_target))]

    def sets(self, set_size: int, generator: torch.Generator) -> Tensor:
        """Row numbers of random sets, each row in one set at most, each set from one source.

        Args:
            set_size: rows of a set, at least 1.
            generator: source of all randomness, on the CPU.

        Returns:
            int64 (n_sets, set_size), source by source; what is left over of a source is dropped.

        Raises:
            OptionError: `set_size` is below 1.
            OutputsError: no source has `set_size` rows.
        """
        if set_size < 1:
            raise OptionError(f"{self.name}: the set size must be at least 1, got {set_size}")
        shuffled = torch.randperm(len(self), generator=generator)
        by_source = shuffled[self.source[shuffled].argsort(stable=True)]
        sizes = np.unique(self.source.numpy(), return_counts=True)[1]
        if sizes.max() < set_size:
            raise OutputsError(
                f"{self.name}: no source has the {set_size} rows of a set; rows of its {len(sizes)} source(s): "
                f"{_listed(sizes.tolist())}; pass a set size of at most {sizes.max()}"
            )
        rows_of_sources = by_source.tensor_split(sizes.cumsum()[:-1].tolist())
        return torch.cat([rows[: len(rows) // set_size * set_size] for rows in rows_of_sources]).view(-1, set_size)


def read(path: str | Path, task: Task) -> Recorded:
    """Read recorded outputs of one kind of task.

    `preds` keeps its dtype (float16 stays float16; bfloat16, which numpy lacks, becomes float32), integer targets
    become int64. Minus infinity is allowed in `preds`, for classes that are masked out, yet not on a whole row.
    Positions that `preds_mask` leaves out may hold anything.

    Args:
        path: `.npz` or `.safetensors` file.
        task: whose arrays are expected.

    Raises:
        OutputsError: the file cannot be read or does not hold what the task needs; the message names the file, the
            array, what was expected, what came and what to do.
    """
    path = Path(path)
    with naming(path):
        arrays = _load(path, task)
        _check_rows(arrays)
        _check_dtypes(arrays)
        _check_shapes(task, {name: array for name, array in arrays.items() if name != "source"})
        tensors = {name: as_tensor(name, array) for name, array in arrays.items()}
        _check_values(tensors["preds"], tensors.get("preds_mask"))
    preds, target = tensors.pop("preds"), tensors.pop("target")
    source = tensors.pop("source", torch.zeros(len(preds), dtype=torch.int64))
    return Recorded(Examples(preds, target, tensors), source, str(path))


def _load(path: Path, task: Task) -> dict[str, np.ndarray]:
    """The arrays that the task uses, each read once."""
    known = ["preds", "target", *task.extras, *task.metric_extras, "source"]
    with open_arrays(path) as (names, get):
        _check_names(names, known, task)
        return {name: get(name) for name in known if name in names}


def _check_names(names: list[str], known: list[str], task: Task) -> None:
    expected = f"a {task.name} file has {', '.join(['preds', 'target', *(f'{name} (optional)' for name in known[2:])])}"
    for name in known[:2]:
        if name not in names:
            raise OutputsError(f"has no array {name!r}, only {_listed(sorted(names))}; {expected}")
    unknown = [name for name in sorted(names) if name not in known and not name.startswith("_")]
    if unknown:
        raise OutputsError(f"holds {_listed(unknown)}, but {expected}; leave it out, or let its name begin with _")


def _check_shapes(task: Task, arrays: dict[str, np.ndarray]) -> None:
    """The task's own check; the check of a user's task may raise anything."""
    try:
        task.check(arrays)
    except AutosurrogateError:
        raise
    except Exception as error:
        raise OutputsError(f"does not fit task {task.name!r}: {one_line(error)}") from error


def _check_rows(arrays: dict[str, np.ndarray]) -> None:
    for name, array in arrays.items():
        if not array.ndim:
            raise OutputsError(f"{name} is a single value; expected an array with a row for each example")
    n_rows = {name: len(array) for name, array in arrays.items()}
    if len(set(n_rows.values())) > 1:
        lengths = ", ".join(f"{name} {n}" for name, n in n_rows.items())
        raise OutputsError(f"all arrays must have the same number of rows, got {lengths}")
    if not n_rows["preds"]:
        raise OutputsError("holds no rows; record at least one batch")


def _check_dtypes(arrays: dict[str, np.ndarray]) -> None:
    """Refuse dtypes that no task can use; `Task.check` checks the rest."""
    preds, source = arrays["preds"], arrays.get("source")
    if preds.dtype.kind != "f" or preds.dtype.itemsize > 8:
        raise OutputsError(f"preds must be float16, float32 or float64, got {preds.dtype}; record logits")
    for name, array in arrays.items():
        if array.dtype.kind not in "biuf":
            raise OutputsError(f"{name} must hold numbers, got dtype {array.dtype}")
    if source is not None and (source.dtype.kind not in "iu" or source.ndim != 1):
        raise OutputsError(f"source must be integers of shape ({len(preds)},), got {source.dtype} {source.shape}")


def _check_values(preds: Tensor, mask: Tensor | None) -> None:
    """Refuse rows that cannot be ranked; set to 0, in place, what is not finite where the mask leaves it out."""
    faulty_blocks = []
    n_rows, at_once = len(preds), max(1, _ELEMENTS_AT_ONCE * len(preds) // max(1, preds.numel()))
    for start in range(0, n_rows, at_once):
        block = preds[start : start + at_once]
        faulty = faults(block)
        if mask is not None and faulty.any():
            faulty = faults(block.copy_(blank(block, mask[start : start + at_once])))
        faulty_blocks.append(faulty)
    for (fault, cure), faulty in zip(_FAULTS.items(), torch.cat(faulty_blocks).unbind(1), strict=True):
        if faulty.any():
            first = int(faulty.int().argmax())
            raise OutputsError(
                f"preds has {fault} in {int(faulty.sum())} of {n_rows} rows, first in row {first}; {cure}"
            )


_FAULTS = {
    "NaN": "leave such rows out, or fix the model that predicts them",
    "infinity": "only -inf is allowed, for classes that are masked out",
    "nothing but -inf for a prediction": "leave one class possible, or leave the row out",
}


def faults(preds: Tensor) -> Tensor:
    """Which of `_FAULTS` each row has, bool (n, 3)."""
    if preds.ndim == 1:
        return torch.stack([preds.isnan(), preds.isposinf(), torch.zeros_like(preds, dtype=torch.bool)], 1)
    if not preds.shape[-1]:
        raise OutputsError(f"preds must not have an empty last axis, got {tuple(preds.shape)}; record logits")
    best = preds.amax(-1)[:, None].flatten(1)  # NaN where anything is
    return torch.stack([fault.any(1) for fault in (best.isnan(), best.isposinf(), best.isneginf())], 1)


def blank(preds: Tensor, mask: Tensor) -> Tensor:
    """The same preds, with 0 for what is not finite outside of the mask."""
    return preds.masked_fill(~(preds.isfinite() | mask[..., None]), 0)


def as_tensor(name: str, array: Any) -> Tensor:
    """A tensor, without gradient and of a dtype that can be worked with, that shares memory where it can."""
    if isinstance(array, Tensor):
        narrow = array.is_floating_point() and array.dtype.itemsize < 2
        return array.detach().float() if narrow else array.detach()
    array = np.asarray(array)
    if array.dtype.kind not in "biuf":
        raise OutputsError(f"{name} must hold numbers, got dtype {array.dtype}")
    native = np.dtype(np.float64) if array.dtype.itemsize > 8 else array.dtype.newbyteorder("=")
    tensor = torch.from_numpy(np.require(array, dtype=native, requirements=["C", "W"]))
    return tensor.long() if array.dtype.kind in "iu" else tensor


def _listed(items: Sequence[object], max_items: int = 8) -> str:
    shown = ", ".join(str(item) for item in items[:max_items])
    return f"{shown}, and {len(items) - max_items} more" if len(items) > max_items else shown or "nothing"
