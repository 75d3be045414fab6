"""Recording outputs of a model while it trains."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self

import numpy as np
import torch

from autosurrogate.array_files import check_suffix, naming, write
from autosurrogate.errors import OptionError, OutputsError
from autosurrogate.examples import Examples
from autosurrogate.recorded import as_tensor, blank, faults

IGNORE_INDEX = -100


class Recorder:
    """Records a training loop's predictions, a bounded and uniform sample of each source, into a file.

    A context manager, called with each batch. It writes when the block is left, also by an exception, and then under
    the final name only once the file is whole. Rows with NaN or plus infinity are left out, with one warning at the
    end. Memory is `max_per_source` rows for each source: let `source` be the epoch, or record every hundredth
    step, and do not make a source of every step. Processes that train together need a path each.

    Batches of a sequence task (`preds` of three axes, `target` of two) may differ in length; they are padded, `preds`
    with 0, `target` with -100, and `preds_mask` says which positions are the hypothesis's.

    Args:
        path: `.npz` or `.safetensors` file to write; its folder must be there.
        max_per_source: rows to keep of each source.
        seed: of the sample.
        overwrite: replace a file that is there.
        dtype: of the written preds; by default float16 where all were float16 or bfloat16, else float32. Finite values
            beyond its range become its largest.

    Raises:
        OutputsError: the file is there, or cannot be written.
        OptionError: an argument is out of range.

    >>> import tempfile, torch
    >>> from autosurrogate import tasks
    >>> path = Path(tempfile.mkdtemp()) / "outputs.npz"
    >>> with Recorder(path, max_per_source=100) as record:
    ...     for epoch in range(3):
    ...         logits, labels = torch.randn(128, 10), torch.randint(10, (128,))
    ...         record(logits, labels, source=epoch)
    >>> from autosurrogate.recorded import read
    >>> recorded = read(path, tasks.get("classification"))
    >>> recorded.examples.preds.shape, recorded.source.unique()
    (torch.Size([300, 10]), tensor([0, 1, 2]))
    """

    def __init__(
        self,
        path: str | Path,
        *,
        max_per_source: int = 2000,
        seed: int = 0,
        overwrite: bool = False,
        dtype: Literal["float16", "float32"] | None = None,
    ) -> None:
        self.path = Path(path)
        if max_per_source < 1:
            raise OptionError(f"Recorder: max_per_source must be at least 1, got {max_per_source}")
        if dtype not in ("float16", "float32", None):
            raise OptionError(f"Recorder: dtype must be 'float16', 'float32' or None, got {dtype!r}")
        with naming(self.path):
            check_suffix(self.path)
            if self.path.is_dir() or not os.access(self.path.parent, os.W_OK):
                raise OutputsError("cannot be written; pass a file in a folder that is there and writable")
            if self.path.exists() and not overwrite:
                raise OutputsError("is there already; pass another path, or overwrite=True to replace it")
        self._max_per_source = max_per_source
        self._dtype = None if dtype is None else {"float16": torch.float16, "float32": torch.float32}[dtype]
        self._generator = np.random.default_rng(seed)
        self._recording = False
        self._layout: _Layout | None = None
        self._n_seen: dict[int, int] = {}  # of each source, rows that could be used
        self._kept: dict[int, dict[int, _Row]] = {}  # source -> place -> row
        self._n_left_out = 0

    def __enter__(self) -> Self:
        self._recording = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._recording = False
        with naming(self.path):
            if self._kept:
                write(self.path, _stack(self._kept))
        if self._n_left_out:
            warnings.warn(f"{self.path}: left out {self._n_left_out} rows with NaN or infinite preds", stacklevel=2)
        if error is None and not self._kept:
            raise OutputsError(f"{self.path}: not written, no row was recorded; call the recorder with each batch")

    def __call__(self, preds: Any, target: Any, preds_mask: Any = None, source: Any = None) -> None:
        """Take a batch into the sample.

        Args:
            preds: tensor or array (n, ...), floating point, on any device, with or without gradient.
            target: tensor or array (n, ...).
            preds_mask: bool (n, T), the positions of a sequence that are the hypothesis's. If left out, those are
                all, or, where the target has as many, those whose target is not -100.
            source: an integer (an epoch, a step) for the whole batch, or one for each row; 0 if left out.

        Raises:
            OutputsError: shapes or dtypes do not fit one another or the batches before.
        """
        with naming(self.path):
            if not self._recording:
                raise OutputsError("the recorder was called outside of its `with` block, where nothing is written")
            examples, sources = _batch(preds, target, preds_mask, source)
            layout = _Layout.of(examples)
            self._layout = self._layout or layout
            if layout != self._layout:
                raise OutputsError(
                    f"a batch does not fit the ones before it: expected {self._layout}, got {layout}; write batches of "
                    f"other shapes to a file of their own"
                )
            good = ~faults(examples.preds).any(1).cpu().numpy()
        self._n_left_out += int((~good).sum())
        for one in np.unique(sources[good]).tolist():
            self._sample(one, examples, np.flatnonzero(good & (sources == one)))

    def _sample(self, source: int, examples: Examples, rows: np.ndarray) -> None:
        """Reservoir sampling (Vitter, 1985, algorithm R): the i-th row takes a random place of i, if it exists."""
        kept, n_seen = self._kept.setdefault(source, {}), self._n_seen.get(source, 0)
        self._n_seen[source] = n_seen + len(rows)
        number = np.arange(n_seen, n_seen + len(rows))
        place = np.where(number < self._max_per_source, number, self._generator.integers(0, number + 1))
        taken = dict((p, row) for p, row in zip(place.tolist(), rows.tolist(), strict=True) if p < self._max_per_source)
        if taken:
            index = torch.tensor(list(taken.values()), device=examples.preds.device)
            kept.update(zip(taken, _rows(examples[index], self._dtype), strict=True))


class _Row(NamedTuple):
    preds: np.ndarray
    target: np.ndarray
    mask: np.ndarray | None


class _Layout(NamedTuple):
    """The shapes of a row, None for a length that may differ from batch to batch."""

    preds: tuple[int | None, ...]
    target: tuple[int | None, ...]

    @classmethod
    def of(cls, examples: Examples) -> _Layout:
        preds, target = examples.preds.shape[1:], examples.target.shape[1:]
        if (len(preds), len(target)) == (2, 1):
            return cls((None, preds[1]), (None,))
        return cls(tuple(preds), tuple(target))

    def __str__(self) -> str:
        preds, target = (", ".join("any" if n is None else str(n) for n in ("n", *shape)) for shape in self)
        return f"preds ({preds}) and target ({target})"


def _batch(preds: Any, target: Any, preds_mask: Any, source: Any) -> tuple[Examples, np.ndarray]:
    """A batch as tensors on the device of preds, and the source of each row."""
    preds, target = as_tensor("preds", preds), as_tensor("target", target)
    if not preds.is_floating_point():
        raise OutputsError(f"preds must be floating point, got {preds.dtype}; pass logits, not decoded predictions")
    if not preds.ndim or not target.ndim or len(preds) != len(target):
        raise OutputsError(
            f"preds and target must have a row for each example, got {tuple(preds.shape)} and {tuple(target.shape)}"
        )
    sources = np.asarray(as_tensor("source", 0 if source is None else source).cpu())
    if sources.dtype.kind not in "iu" or sources.shape not in ((), (len(preds),)):
        raise OutputsError(
            f"source must be an integer or integers of shape ({len(preds)},), got {sources.dtype} {sources.shape}"
        )
    examples = Examples(preds, target.to(preds.device))
    if preds_mask is not None:
        mask = as_tensor("preds_mask", preds_mask).to(preds.device)
        if mask.dtype != torch.bool or preds.ndim != 3 or mask.shape != preds.shape[:2]:
            raise OutputsError(
                f"preds_mask must be bool (n, T) for preds (n, T, V), got {mask.dtype} {tuple(mask.shape)} for preds "
                f"{tuple(preds.shape)}"
            )
        preds = blank(preds, mask) if faults(preds).any() else preds
        examples = Examples(preds, examples.target, {"preds_mask": mask})
    return examples, np.broadcast_to(sources.astype(np.int64), len(preds))


def _rows(examples: Examples, dtype: torch.dtype | None) -> list[_Row]:
    """Each row on its own, so that none keeps its batch alive."""
    if dtype is None:
        dtype = torch.float16 if examples.preds.dtype in (torch.float16, torch.bfloat16) else torch.float32
    largest = torch.finfo(dtype).max
    preds = examples.preds.float()
    preds = torch.where(preds.isneginf(), preds, preds.clamp(-largest, largest)).to(dtype).cpu()
    target = examples.target.to(torch.float32 if examples.target.is_floating_point() else torch.int64).cpu()
    mask = examples.extras.get("preds_mask")
    masks = None if mask is None else mask.cpu()
    return [
        _Row(preds[i].numpy().copy(), target[i].numpy().copy(), None if masks is None else masks[i].numpy().copy())
        for i in range(len(examples))
    ]


def _stack(kept: dict[int, dict[int, _Row]]) -> dict[str, np.ndarray]:
    """The arrays of the file, padded to the longest row."""
    sources = sorted(kept)
    rows = [row for source in sources for row in kept[source].values()]
    arrays = {
        "preds": _padded([row.preds for row in rows], 0),
        "target": _padded([row.target for row in rows], IGNORE_INDEX),
        "source": np.repeat(np.array(sources, dtype=np.int64), [len(kept[source]) for source in sources]),
    }
    if _needs_mask(rows):
        arrays["preds_mask"] = _padded([_mask_of(row) for row in rows], False)
    return arrays


def _padded(rows: list[np.ndarray], fill: float) -> np.ndarray:
    shape = np.max([row.shape for row in rows], axis=0).astype(int)
    padded = np.full((len(rows), *shape), fill, dtype=np.result_type(*{row.dtype for row in rows}))
    for i, row in enumerate(rows):
        here: tuple[int | slice, ...] = (i, *(slice(n) for n in row.shape))
        padded[here] = row
    return padded


def _needs_mask(rows: list[_Row]) -> bool:
    """Whether the padded rows would mean something else without a mask.

    Without one all positions count, but where the target has as many, those whose target is -100 do not.
    """
    if any(row.mask is not None for row in rows):
        return True
    if rows[0].preds.ndim != 2 or rows[0].target.ndim != 1:
        return False
    n_positions = {len(row.preds) for row in rows}
    as_many = {len(row.preds) == len(row.target) for row in rows}
    return as_many != {True} and (len(n_positions) > 1 or len(as_many) > 1)


def _mask_of(row: _Row) -> np.ndarray:
    if row.mask is not None:
        return row.mask
    return row.target != IGNORE_INDEX if len(row.preds) == len(row.target) else np.ones(len(row.preds), dtype=np.bool_)
