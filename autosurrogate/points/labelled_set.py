"""A labelled set on disk: chunks of points with the metric's values, each a file that is whole or absent."""

from __future__ import annotations

import json
import re
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from autosurrogate._utils.files import atomic_write
from autosurrogate.examples import Examples
from autosurrogate.labelling.outcomes import Kind, Problem
from autosurrogate.tasks import REGIMES, TRAINED

_VERSION = 1
_EXTRA = "extras."


@dataclass(frozen=True)
class Chunk:
    """Points that have a label.

    Args:
        examples: n_points * set_size examples, point by point.
        set_size: examples a point.
        values: the metric's, shape (n_points,), float64, finite.
        severity: of each point, shape (n_points,), float64; None for recorded outputs.
        regime: of each point, a number in `tasks.REGIMES`, shape (n_points,), int8; None for recorded outputs.
    """

    examples: Examples
    set_size: int
    values: Tensor
    severity: Tensor | None
    regime: Tensor | None = None

    def __len__(self) -> int:
        return int(self.values.shape[0])

    @property
    def is_trained(self) -> Tensor:
        """Which points are of trained models, or recorded: bool (n_points,)."""
        if self.regime is None:
            return torch.ones(len(self), dtype=torch.bool)
        return self.regime == REGIMES.index(TRAINED)

    def select(self, index: Tensor) -> Chunk:
        """Some of the points, by their numbers, shape (n_selected,), int64."""
        rows = (index[:, None] * self.set_size + torch.arange(self.set_size)).flatten()
        severity, regime = (None if x is None else x[index] for x in (self.severity, self.regime))
        return Chunk(self.examples[rows], self.set_size, self.values[index], severity, regime)


@dataclass(frozen=True)
class Totals:
    """How many points were labelled, and how many of them dropped.

    Args:
        n_points: their number, dropped ones included.
        dropped: how many were dropped, by the kind of problem.
        example: one of the problems of the most frequent kind; None if there was none.
    """

    n_points: int
    dropped: dict[Kind, int]
    example: Problem | None

    @property
    def n_dropped(self) -> int:
        """How many points were dropped."""
        return sum(self.dropped.values())

    def describe(self) -> str:
        """The same as a line for the user."""
        line = f"labelled {self.n_points:,} points to search with"
        if self.example is None:
            return line
        kinds = ", ".join(f"{count} {kind}" for kind, count in self.dropped.items())
        return f"{line}; {self.n_dropped} dropped: {kinds}; for example: {self.example.message}"


class LabelledSet:
    """A folder of chunks, in splits such as "train", numbered from 0 in each.

    A file that is cut short, damaged or of another version counts as absent, so that it is written again.

    Args:
        folder: where the files are; created when the first is written.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def write(
        self,
        split: str,
        index: int,
        examples: Examples,
        set_size: int,
        values: np.ndarray,
        *,
        severity: np.ndarray | None = None,
        regime: np.ndarray | None = None,
        problems: Sequence[Problem] = (),
    ) -> None:
        """Write a chunk, or replace it, in one step; points without a label are left out.

        Args:
            split: word characters only.
            index: the chunk's place in the split.
            examples: n_points * set_size examples, point by point.
            set_size: examples a point.
            values: shape (n_points,), NaN where a point has no label.
            severity: shape (n_points,).
            regime: shape (n_points,).
            problems: one a point without a label.
        """
        n_points = len(values)
        assert len(examples) == n_points * set_size, (len(examples), n_points, set_size)
        assert severity is None or len(severity) == n_points
        tensors = {"values": torch.as_tensor(values, dtype=torch.float64)}
        if severity is not None:
            tensors["severity"] = torch.as_tensor(severity, dtype=torch.float64)
        if regime is not None:
            tensors["regime"] = torch.as_tensor(regime, dtype=torch.int8)
        labelled = ~tensors["values"].isnan()
        if not labelled.all():
            tensors = {name: tensor[labelled] for name, tensor in tensors.items()}
            examples = examples[labelled.repeat_interleave(set_size)]
        tensors |= {"preds": examples.preds, "target": examples.target}
        tensors |= {_EXTRA + name: tensor for name, tensor in examples.extras.items()}
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        header = {
            "version": _VERSION,
            "set_size": set_size,
            "n_points": n_points,
            "problems": _summary(problems),
            "checksum": _checksum(tensors),
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(header)
        with atomic_write(self._path(split, index), fsync=True) as temporary:
            save_file(tensors, temporary, {"about": text, "checksum": str(zlib.crc32(text.encode()))})

    def has(self, split: str, index: int) -> bool:
        """Whether the chunk exists and is whole."""
        return _load(self._path(split, index)) is not None

    def chunks(self, split: str) -> list[Chunk]:
        """The chunks of a split that exist and are whole, in the order of their index.

        Their tensors are mapped from the files, which must not be changed, only replaced, while they are in use.
        """
        loaded = (_load(path) for path in self._paths(re.escape(split)))
        return [_chunk(*content) for content in loaded if content is not None]

    def totals(self) -> Totals:
        """The points of all chunks, counted."""
        n_points, dropped, problems = 0, Counter[Kind](), dict[Kind, Problem]()
        for header in filter(None, map(_read_header, self._paths(r"\w+"))):
            n_points += header["n_points"]
            for kind, (count, message) in header["problems"].items():
                dropped[kind] += count
                problems.setdefault(kind, Problem(kind, message))
        return Totals(n_points, dict(dropped), problems[dropped.most_common(1)[0][0]] if dropped else None)

    def _path(self, split: str, index: int) -> Path:
        assert re.fullmatch(r"\w+", split), split
        return self.folder / f"{split}-{index:04d}.safetensors"

    def _paths(self, split: str) -> list[Path]:
        """The files of the splits that match a pattern, ordered by split and index."""
        paths = []
        for path in self.folder.glob("*.safetensors"):
            match = re.fullmatch(rf"({split})-(\d{{4,}})\.safetensors", path.name)
            if match:
                paths.append((match[1], int(match[2]), path))
        return [path for _, _, path in sorted(paths)]


def _summary(problems: Sequence[Problem]) -> dict[Kind, tuple[int, str]]:
    """How many problems of each kind there are, and the message of the first."""
    kinds = {problem.kind: problem.message for problem in reversed(problems)}
    return {kind: (sum(problem.kind == kind for problem in problems), message) for kind, message in kinds.items()}


def _checksum(tensors: Mapping[str, Tensor]) -> int:
    checksum = 0
    for name, tensor in sorted(tensors.items()):
        checksum = zlib.crc32(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode(), checksum)
        content: Any = tensor.reshape(-1).view(torch.uint8).numpy()  # a buffer, which its type hints do not show
        checksum = zlib.crc32(content, checksum)
    return checksum


def _read_header(path: Path) -> dict[str, Any] | None:
    """The header of a file, without its tensors; None if the file is absent or not whole."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata: dict[str, str] = file.metadata() or {}
    except (OSError, SafetensorError):
        return None
    text = metadata.get("about", "")
    if metadata.get("checksum") != str(zlib.crc32(text.encode())):
        return None
    header: dict[str, Any] = json.loads(text)
    return header if header["version"] == _VERSION else None


def _load(path: Path) -> tuple[dict[str, Tensor], int] | None:
    """Tensors and set size of a file; None if the file is absent or not whole."""
    header = _read_header(path)
    if header is None:
        return None
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except (OSError, SafetensorError):
        return None
    return (tensors, header["set_size"]) if _checksum(tensors) == header["checksum"] else None


def _chunk(tensors: dict[str, Tensor], set_size: int) -> Chunk:
    extras = {name.removeprefix(_EXTRA): tensors[name] for name in tensors if name.startswith(_EXTRA)}
    examples = Examples(tensors["preds"], tensors["target"], extras)
    return Chunk(examples, set_size, tensors["values"], tensors.get("severity"), tensors.get("regime"))
