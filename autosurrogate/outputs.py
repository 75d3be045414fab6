"""Recorded outputs (G_M): files of what real models predicted, read by `read`, made by a `Recorder`.

A file is `.npz` or `.safetensors` and holds `preds`, `target`, the further arrays its task knows (`preds_mask` of a
sequence), and optionally `source`: an integer for each row, which says what model or checkpoint the row comes from.
Arrays whose name begins with an underscore are not looked at.
"""

from __future__ import annotations

import contextlib
import os
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self

import numpy as np
import safetensors
import safetensors.numpy
import torch
from torch import Tensor

from autosurrogate.errors import OptionError, OutputsError
from autosurrogate.examples import Examples
from autosurrogate.tasks._base import Task

IGNORE_INDEX = -100
_ELEMENTS_AT_ONCE = 1 << 24  # bounds the memory of looking through preds


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
        parts = by_source.tensor_split(sizes.cumsum()[:-1].tolist())
        return torch.cat([rows[: len(rows) // set_size * set_size] for rows in parts]).view(-1, set_size)


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
    with _naming(path):
        arrays = _load(path, task)
        _check_rows(arrays)
        _check_dtypes(arrays)
        task.check({name: array for name, array in arrays.items() if name != "source"})
        tensors = {name: _tensor(name, array) for name, array in arrays.items()}
        _check_values(tensors["preds"], tensors.get("preds_mask"))
    preds, target = tensors.pop("preds"), tensors.pop("target")
    source = tensors.pop("source", torch.zeros(len(preds), dtype=torch.int64))
    return Recorded(Examples(preds, target, tensors), source, str(path))


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
        with _naming(self.path):
            _check_suffix(self.path)
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
        with _naming(self.path):
            if self._kept:
                _write(self.path, _stack(self._kept))
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
        with _naming(self.path):
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
            good = ~_faults(examples.preds).any(1).cpu().numpy()
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
    preds, target = _tensor("preds", preds), _tensor("target", target)
    if not preds.is_floating_point():
        raise OutputsError(f"preds must be floating point, got {preds.dtype}; pass logits, not decoded predictions")
    if not preds.ndim or not target.ndim or len(preds) != len(target):
        raise OutputsError(
            f"preds and target must have a row for each example, got {tuple(preds.shape)} and {tuple(target.shape)}"
        )
    sources = np.asarray(_tensor("source", 0 if source is None else source).cpu())
    if sources.dtype.kind not in "iu" or sources.shape not in ((), (len(preds),)):
        raise OutputsError(
            f"source must be an integer or integers of shape ({len(preds)},), got {sources.dtype} {sources.shape}"
        )
    examples = Examples(preds, target.to(preds.device))
    if preds_mask is not None:
        mask = _tensor("preds_mask", preds_mask).to(preds.device)
        if mask.dtype != torch.bool or preds.ndim != 3 or mask.shape != preds.shape[:2]:
            raise OutputsError(
                f"preds_mask must be bool (n, T) for preds (n, T, V), got {mask.dtype} {tuple(mask.shape)} for preds "
                f"{tuple(preds.shape)}"
            )
        preds = _blank(preds, mask) if _faults(preds).any() else preds
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


def _write(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write the file under another name, then give it its own: nobody ever sees a half."""
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        if path.suffix == ".npz":
            np.savez_compressed(temporary, **arrays)  # type: ignore[arg-type]
        else:
            safetensors.numpy.save_file(arrays, temporary)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except (OSError, safetensors.SafetensorError) as error:
        raise OutputsError(f"cannot be written ({error}); free space there, or record to another folder") from error
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Put the file's name before the message of an `OutputsError`."""
    try:
        yield
    except OutputsError as error:
        raise OutputsError(f"{path}: {error}") from error.__cause__


def _check_suffix(path: Path) -> None:
    if path.suffix not in _LOADERS:
        raise OutputsError(f"the name must end in {' or '.join(_LOADERS)}, got {path.suffix!r}")


def _load(path: Path, task: Task) -> dict[str, np.ndarray]:
    """The arrays the task knows, each read once."""
    _check_suffix(path)
    if not path.is_file():
        raise OutputsError("is a folder; pass a file" if path.is_dir() else "no such file; check the path")
    known = ["preds", "target", *task.extras, "source"]
    with _LOADERS[path.suffix](path) as (names, get):
        _check_names(names, known, task)
        return {name: get(name) for name in known if name in names}


_Opened = tuple[list[str], Callable[[str], np.ndarray]]
_ADVICE = "write it anew, for example with autosurrogate.outputs.Recorder"


@contextlib.contextmanager
def _open_npz(path: Path) -> Iterator[_Opened]:
    try:
        with path.open("rb") as stream:  # closed also where numpy, given a path, would forget to
            if not zipfile.is_zipfile(stream):
                raise OutputsError(f"is no whole .npz file (cut short, a pickle, or another format); {_ADVICE}")
            stream.seek(0)
            file = np.load(stream, allow_pickle=False)
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise OutputsError(f"is a single array; {_ADVICE}")
            yield list(file.files), lambda name: _array_of_npz(name, file)
    except OutputsError:
        raise
    except (OSError, ValueError, EOFError, MemoryError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise OutputsError(f"cannot be read as .npz ({type(error).__name__}: {error}); {_ADVICE}") from error


def _array_of_npz(name: str, file: Any) -> np.ndarray:
    try:
        array = file[name]
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise
        raise OutputsError(
            f"{name} holds Python objects, which are never unpickled; write it as an array of numbers of one shape"
        ) from error
    if not isinstance(array, np.ndarray):
        raise OutputsError(f"{name} is not a numpy array; {_ADVICE}")
    return array


@contextlib.contextmanager
def _open_safetensors(path: Path) -> Iterator[_Opened]:
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            yield list(file.keys()), lambda name: _array_of_tensor(name, file.get_tensor(name))
    except (OSError, safetensors.SafetensorError) as error:
        raise OutputsError(f"cannot be read as .safetensors ({error}); {_ADVICE}") from error


def _array_of_tensor(name: str, tensor: Tensor) -> np.ndarray:
    try:
        return np.asarray(tensor.float() if tensor.dtype == torch.bfloat16 else tensor)
    except TypeError as error:
        raise OutputsError(
            f"{name} has dtype {tensor.dtype}, which is not supported; write float16 or float32"
        ) from error


_LOADERS = {".npz": _open_npz, ".safetensors": _open_safetensors}


def _check_names(names: list[str], known: list[str], task: Task) -> None:
    form = f"a {task.name} file has {', '.join(['preds', 'target', *(f'{name} (optional)' for name in known[2:])])}"
    for name in known[:2]:
        if name not in names:
            raise OutputsError(f"has no array {name!r}, only {_listed(sorted(names))}; {form}")
    unknown = [name for name in sorted(names) if name not in known and not name.startswith("_")]
    if unknown:
        raise OutputsError(f"holds {_listed(unknown)}, but {form}; leave it out, or let its name begin with _")


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
    """What no task can use; the rest is for `Task.check`."""
    preds, source = arrays["preds"], arrays.get("source")
    if preds.dtype.kind != "f" or preds.dtype.itemsize > 8:
        raise OutputsError(f"preds must be float16, float32 or float64, got {preds.dtype}; record logits")
    for name, array in arrays.items():
        if array.dtype.kind not in "biuf":
            raise OutputsError(f"{name} must hold numbers, got dtype {array.dtype}")
    if source is not None and (source.dtype.kind not in "iu" or source.ndim != 1):
        raise OutputsError(f"source must be integers of shape ({len(preds)},), got {source.dtype} {source.shape}")


def _check_values(preds: Tensor, mask: Tensor | None) -> None:
    """Refuse rows that cannot be ranked; blank, in place, what is in the way where the mask leaves it out."""
    found = []
    n_rows, at_once = len(preds), max(1, _ELEMENTS_AT_ONCE * len(preds) // max(1, preds.numel()))
    for start in range(0, n_rows, at_once):
        part = preds[start : start + at_once]
        faults = _faults(part)
        if mask is not None and faults.any():
            faults = _faults(part.copy_(_blank(part, mask[start : start + at_once])))
        found.append(faults)
    for (what, cure), wrong in zip(_FAULTS.items(), torch.cat(found).unbind(1), strict=True):
        if wrong.any():
            first = int(wrong.int().argmax())
            raise OutputsError(f"preds has {what} in {int(wrong.sum())} of {n_rows} rows, first in row {first}; {cure}")


_FAULTS = {
    "NaN": "leave such rows out, or mend the model that made them",
    "infinity": "only -inf is allowed, for classes that are masked out",
    "nothing but -inf for a prediction": "leave one class possible, or leave the row out",
}


def _faults(preds: Tensor) -> Tensor:
    """Which of `_FAULTS` each row has, bool (n, 3)."""
    if preds.ndim == 1:
        return torch.stack([preds.isnan(), preds.isposinf(), torch.zeros_like(preds, dtype=torch.bool)], 1)
    if not preds.shape[-1]:
        raise OutputsError(f"preds must not have an empty last axis, got {tuple(preds.shape)}; record logits")
    best = preds.amax(-1)[:, None].flatten(1)  # NaN where anything is
    return torch.stack([fault.any(1) for fault in (best.isnan(), best.isposinf(), best.isneginf())], 1)


def _blank(preds: Tensor, mask: Tensor) -> Tensor:
    """The same preds, with 0 for what is not finite outside of the mask."""
    return preds.masked_fill(~(preds.isfinite() | mask[..., None]), 0)


def _tensor(name: str, array: Any) -> Tensor:
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


def _listed(items: Sequence[object], most: int = 8) -> str:
    shown = ", ".join(str(item) for item in items[:most])
    return f"{shown}, and {len(items) - most} more" if len(items) > most else shown or "nothing"
