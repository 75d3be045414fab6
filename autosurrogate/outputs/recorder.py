"""Recording outputs of a model while it trains."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self

import numpy as np
import torch

from autosurrogate import tasks
from autosurrogate.errors import OptionError, OutputsError
from autosurrogate.examples import Examples
from autosurrogate.outputs.array_files import check_suffix, naming, write
from autosurrogate.outputs.reader import as_tensor, blank, faults
from autosurrogate.tasks import Task
from autosurrogate.tasks.sequence import IGNORE_INDEX

MASK, EOS, BLANK = "preds_mask", "eos_id", "blank_id"


class Recorder:
    """Records a training loop's predictions, a bounded and uniform sample of each source, into a file.

    A context manager, called with each batch. It writes when the block is left, also by an exception, and then under
    the final name only once the file is whole. Rows with NaN or plus infinity are left out, with one warning at the
    end. Memory is `max_per_source` rows for each source: let `source` be the epoch, or record every hundredth
    step, and do not make a source of every step. Processes that train together need a path each.

    Batches of a task whose examples differ in size are padded as the task defines. Those of a sequence task may
    differ in length: `preds` are padded with 0, `target` with -100, and `preds_mask` says which positions are the
    hypothesis's.

    Args:
        path: `.npz` or `.safetensors` file to write; its folder must exist.
        task: name of the task, such as "span": it decides which further arrays are allowed, and how batches of other
            sizes are padded. By default, `preds` of three axes with a `target` of two are sequences, and anything else
            has one size and no further arrays.
        max_per_source: rows to sample of each source.
        seed: of the sample.
        overwrite: whether to replace an existing file.
        dtype: of the written preds; by default float16 where all were float16 or bfloat16, else float32. Finite values
            beyond its range become its largest.

    Raises:
        OutputsError: the file exists, or cannot be written.
        OptionError: an argument is out of range.
        MetricError: there is no such task.

    >>> import tempfile, torch
    >>> from autosurrogate import tasks
    >>> path = Path(tempfile.mkdtemp()) / "outputs.npz"
    >>> with Recorder(path, max_per_source=100) as record:
    ...     for epoch in range(3):
    ...         logits, labels = torch.randn(128, 10), torch.randint(10, (128,))
    ...         record(logits, labels, source=epoch)
    >>> from autosurrogate.outputs import read
    >>> recorded = read(path, tasks.get("classification"))
    >>> recorded.examples.preds.shape, recorded.source.unique()
    (torch.Size([300, 10]), tensor([0, 1, 2]))
    """

    def __init__(
        self,
        path: str | Path,
        task: str | None = None,
        *,
        max_per_source: int = 2000,
        seed: int = 0,
        overwrite: bool = False,
        dtype: Literal["float16", "float32"] | None = None,
    ) -> None:
        self.path = Path(path)
        self._task = None if task is None else tasks.get(task)
        if max_per_source < 1:
            raise OptionError(f"Recorder: max_per_source must be at least 1, got {max_per_source}")
        if dtype not in ("float16", "float32", None):
            raise OptionError(f"Recorder: dtype must be 'float16', 'float32' or None, got {dtype!r}")
        with naming(self.path):
            check_suffix(self.path)
            if self.path.is_dir() or not os.access(self.path.parent, os.W_OK):
                raise OutputsError("cannot be written; pass a file in a folder that exists and is writable")
            if self.path.exists() and not overwrite:
                raise OutputsError("exists already; pass another path, or overwrite=True to replace it")
        self._max_per_source = max_per_source
        self._dtype = None if dtype is None else {"float16": torch.float16, "float32": torch.float32}[dtype]
        self._generator = np.random.default_rng(seed)
        self._recording = False
        self._layout: _Layout | None = None
        self._n_seen: dict[int, int] = {}  # of each source, rows that could be used
        self._rows: dict[int, dict[int, _Row]] = {}  # source -> place -> row
        self._n_left_out = 0

    def __enter__(self) -> Self:
        self._recording = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._recording = False
        with naming(self.path):
            if self._rows:
                write(self.path, _stack(self._rows, self._task))
        if self._n_left_out:
            warnings.warn(f"{self.path}: left out {self._n_left_out} rows with NaN or infinite preds", stacklevel=2)
        if error is None and not self._rows:
            raise OutputsError(f"{self.path}: not written, no row was recorded; call the recorder with each batch")

    def __call__(self, preds: Any, target: Any, preds_mask: Any = None, source: Any = None, **arrays: Any) -> None:
        """Add a batch to the sample.

        Args:
            preds: tensor or array (n, ...), floating point, on any device, with or without gradient.
            target: tensor or array (n, ...).
            preds_mask: bool (n, T), the positions of a sequence that are the hypothesis's. If left out, those are
                all until the first `eos_id`, or, where the target has as many and there is neither `eos_id` nor
                `blank_id`, those whose target is not -100.
            source: an integer (an epoch, a step) for the whole batch, or one for each row; 0 if left out.
            arrays: further arrays (n, ...) that the task has, by name.

        Raises:
            OutputsError: shapes or dtypes do not fit one another or the batches before, or the task has no such array.
        """
        with naming(self.path):
            if not self._recording:
                raise OutputsError("the recorder was called outside of its `with` block, where nothing is written")
            _check_names(arrays, self._task)
            examples, sources = _batch(preds, target, preds_mask, source, arrays)
            self._task = self._task or _guess_task(examples)
            layout = _Layout.of(examples, self._task)
            self._layout = self._layout or layout
            if layout != self._layout:
                raise OutputsError(
                    f"a batch does not fit the ones before it: expected {self._layout}, got {layout}; write batches of "
                    f"other shapes to a file of their own"
                )
            usable = ~faults(examples.preds).any(1).cpu().numpy()
        self._n_left_out += int((~usable).sum())
        for source_number in np.unique(sources[usable]).tolist():
            self._sample(source_number, examples, np.flatnonzero(usable & (sources == source_number)))

    def _sample(self, source: int, examples: Examples, rows: np.ndarray) -> None:
        """Reservoir sampling (Vitter, 1985, algorithm R): the i-th row takes a random place of i, if it exists."""
        sample, n_seen = self._rows.setdefault(source, {}), self._n_seen.get(source, 0)
        self._n_seen[source] = n_seen + len(rows)
        number = np.arange(n_seen, n_seen + len(rows))
        place = np.where(number < self._max_per_source, number, self._generator.integers(0, number + 1))
        selected = dict(
            (p, row) for p, row in zip(place.tolist(), rows.tolist(), strict=True) if p < self._max_per_source
        )
        if selected:
            index = torch.tensor(list(selected.values()), device=examples.preds.device)
            sample.update(zip(selected, _rows(examples[index], self._dtype), strict=True))


_Row = Mapping[str, np.ndarray]  # the arrays of an example


class _Layout(NamedTuple):
    """The shapes of a row, None for a length that may differ from batch to batch."""

    shapes: tuple[tuple[str, tuple[int | None, ...]], ...]

    @classmethod
    def of(cls, examples: Examples, task: Task | None) -> _Layout:
        arrays = _arrays(examples)
        arrays.pop(MASK, None)  # a batch may have one or not
        fill = {} if task is None else task.padding
        return cls(
            tuple(
                (name, tuple(None if k in fill.get(name, (0, ()))[1] else n for k, n in enumerate(array.shape[1:])))
                for name, array in arrays.items()
            )
        )

    def __str__(self) -> str:
        arrays = [
            f"{name} ({', '.join('any' if n is None else str(n) for n in ('n', *shape))})"
            for name, shape in self.shapes
        ]
        return " and ".join([", ".join(arrays[:-1]), arrays[-1]])


def _guess_task(examples: Examples) -> Task | None:
    return tasks.get("sequence") if (examples.preds.ndim, examples.target.ndim) == (3, 2) else None


def _arrays(examples: Examples) -> dict[str, torch.Tensor]:
    return {"preds": examples.preds, "target": examples.target, **examples.extras}


def _check_names(arrays: Mapping[str, Any], task: Task | None) -> None:
    known = () if task is None else (*task.extras, *task.metric_extras)
    unknown = [name for name in arrays if name not in known]
    if unknown and task is None:
        raise OutputsError(f'{unknown[0]} is recorded if the task is named, as in Recorder("outputs.npz", "span")')
    if unknown:
        raise OutputsError(f"a {task.name if task else ''} file has no array {unknown[0]!r}, only {', '.join(known)}")


def _batch(
    preds: Any, target: Any, preds_mask: Any, source: Any, arrays: Mapping[str, Any]
) -> tuple[Examples, np.ndarray]:
    """A batch as tensors on the device of preds, and the source of each row."""
    preds, target = as_tensor("preds", preds), as_tensor("target", target)
    if not preds.is_floating_point():
        raise OutputsError(f"preds must be floating point, got {preds.dtype}; pass logits, not decoded predictions")
    extras = {name: as_tensor(name, array) for name, array in arrays.items() if array is not None}
    for name, array in {"target": target, **extras}.items():
        if not preds.ndim or not array.ndim or len(preds) != len(array):
            raise OutputsError(
                f"preds and {name} must have a row for each example, got {tuple(preds.shape)} and {tuple(array.shape)}"
            )
    sources = np.asarray(as_tensor("source", 0 if source is None else source).cpu())
    if sources.dtype.kind not in "iu" or sources.shape not in ((), (len(preds),)):
        raise OutputsError(
            f"source must be an integer or integers of shape ({len(preds)},), got {sources.dtype} {sources.shape}"
        )
    if preds_mask is not None:
        mask = as_tensor(MASK, preds_mask).to(preds.device)
        if mask.dtype != torch.bool or preds.ndim != 3 or mask.shape != preds.shape[:2]:
            raise OutputsError(
                f"preds_mask must be bool (n, T) for preds (n, T, V), got {mask.dtype} {tuple(mask.shape)} for preds "
                f"{tuple(preds.shape)}"
            )
        preds = blank(preds, mask) if faults(preds).any() else preds
        extras = {MASK: mask, **extras}
    examples = Examples(preds, target.to(preds.device), {name: a.to(preds.device) for name, a in extras.items()})
    return examples, np.broadcast_to(sources.astype(np.int64), len(preds))


def _rows(examples: Examples, dtype: torch.dtype | None) -> list[_Row]:
    """A copy of each row, so that its batch can be freed."""
    if dtype is None:
        dtype = torch.float16 if examples.preds.dtype in (torch.float16, torch.bfloat16) else torch.float32
    largest = torch.finfo(dtype).max
    preds = examples.preds.float()
    preds = torch.where(preds.isneginf(), preds, preds.clamp(-largest, largest)).to(dtype)
    others = {name: array.to(_stored_dtype(array)) for name, array in _arrays(examples).items() if name != "preds"}
    on_cpu = {name: array.cpu().numpy() for name, array in {"preds": preds, **others}.items()}
    return [{name: array[i].copy() for name, array in on_cpu.items()} for i in range(len(examples))]


def _stored_dtype(array: torch.Tensor) -> torch.dtype:
    if array.dtype == torch.bool:
        return torch.bool
    return torch.float32 if array.is_floating_point() else torch.int64


def _stack(rows_of_sources: dict[int, dict[int, _Row]], task: Task | None) -> dict[str, np.ndarray]:
    """The arrays of the file, padded to the longest row."""
    sources = sorted(rows_of_sources)
    rows = [row for source in sources for row in rows_of_sources[source].values()]
    fill = {} if task is None else task.padding
    if task is not None and MASK in task.extras and _needs_mask(rows):
        rows = [{**row, MASK: _mask_of(row)} for row in rows]
    arrays = {name: _padded([row[name] for row in rows], fill.get(name, (0, ()))[0]) for name in rows[0]}
    return {
        **arrays,
        "source": np.repeat(np.array(sources, dtype=np.int64), [len(rows_of_sources[source]) for source in sources]),
    }


def _padded(rows: list[np.ndarray], fill: float) -> np.ndarray:
    shape = np.max([row.shape for row in rows], axis=0).astype(int)
    padded = np.full((len(rows), *shape), fill, dtype=np.result_type(*{row.dtype for row in rows}))
    for i, row in enumerate(rows):
        index: tuple[int | slice, ...] = (i, *(slice(n) for n in row.shape))
        padded[index] = row
    return padded


def _needs_mask(rows: list[_Row]) -> bool:
    """Whether the padded rows of sequences would mean something else without a mask.

    Without one all positions count until an `eos_id`; but where the target has as many and there is neither that nor a
    `blank_id`, those whose target is -100 do not.
    """
    if any(MASK in row for row in rows):
        return True
    n_positions = {len(row["preds"]) for row in rows}
    if any(_token(row, EOS) >= 0 or _token(row, BLANK) >= 0 for row in rows):
        return len(n_positions) > 1
    same_length = {len(row["preds"]) == len(row["target"]) for row in rows}
    return same_length != {True} and (len(n_positions) > 1 or len(same_length) > 1)


def _mask_of(row: _Row) -> np.ndarray:
    if MASK in row:
        return row[MASK]
    preds, target = row["preds"], row["target"]
    if _token(row, BLANK) >= 0:
        return np.ones(len(preds), dtype=np.bool_)
    if _token(row, EOS) >= 0:  # with a mask a hypothesis ends where that does
        return np.asarray(np.cumsum(preds.argmax(-1) == _token(row, EOS)) == 0)
    return target != IGNORE_INDEX if len(preds) == len(target) else np.ones(len(preds), dtype=np.bool_)


def _token(row: _Row, name: str) -> int:
    """A token of the task's context; -1 for none."""
    return int(row.get(name, -1))
