"""Labels of earlier runs, for points that a new run would generate and label again.

Only labels are stored. The points are generated again, which is quick, and are the same where the random generator,
its seed and the declaration of the metric are. The key of a run includes the source of the metric and its values on
the pilot points, which every run labels. So a metric that reads another file than before, or that never returns the
same value twice, gets another key.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import inspect
import json
import math
import os
import re
import shutil
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import numpy as np
import platformdirs
import torch

from autosurrogate import tasks
from autosurrogate._utils import digests
from autosurrogate._utils.files import write_json
from autosurrogate.errors import OptionError
from autosurrogate.examples import Examples
from autosurrogate.labelling import packing
from autosurrogate.labelling.labels import Labels
from autosurrogate.labelling.outcomes import Point, Problem
from autosurrogate.points import metric_calls, sampling, severity_calibration
from autosurrogate.registry.metric_type import Metric

VARIABLE = "AUTOSURROGATE_CACHE"
OFF = "off"
MAX_BYTES = 256 * 2**20
_FOLDER = "labels"
_KEY = re.compile(r"[0-9a-f]{32}")


class LabelCache:
    """The labels that a metric gave the points of one generator; without a key nothing is stored.

    Args:
        key: see `key_of`.
    """

    def __init__(self, key: str | None) -> None:
        root = folder()
        self._folder = None if root is None or key is None else root / key

    def get(self, name: str, n_points: int) -> Labels | None:
        """The labels of a chunk; None if they are not stored."""
        if self._folder is None:
            return None
        try:
            content = json.loads((self._folder / f"{name}.json").read_text(encoding="utf-8"))
            values = np.array([math.nan if value is None else value for value in content["values"]], np.float64)
            problems = [Problem(kind, message) for kind, message in content["problems"]]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        with contextlib.suppress(OSError):
            os.utime(self._folder)  # `trim` removes what was used longest ago
        if len(values) != n_points or int(np.isnan(values).sum()) != len(problems):
            return None
        return Labels(values, problems, 0.0)

    def put(self, name: str, labels: Labels) -> None:
        """Store the labels of a chunk, unless the metric might return something else for its points another time."""
        if self._folder is None or any(problem.kind in ("timeout", "crashed") for problem in labels.problems):
            return
        values = [None if math.isnan(value) else value for value in labels.values.tolist()]
        content = {"values": values, "problems": [[p.kind, p.message] for p in labels.problems]}
        with contextlib.suppress(OSError):  # a full or write-protected disk only costs the next run its time
            self._folder.mkdir(parents=True, exist_ok=True)
            write_json(self._folder / f"{name}.json", content)


def key_of(metric: Metric, seed: int, points: Sequence[Point], labels: Labels) -> str | None:
    """A digest of all that the labels of a run depend on.

    Args:
        metric: the metric.
        seed: of the run.
        points: the pilot points.
        labels: of the pilot points.

    Returns:
        None for a function of a script or a notebook, which may not be what it was.
    """
    if metric.spec is None:
        return None
    digest = hashlib.sha256()
    declared = [metric.spec, metric.task, metric.level, metric.view, metric.set_size, metric.higher_is_better, seed]
    digest.update(json.dumps([*declared, _sources(metric), _versions(metric), _generators()]).encode())
    digest.update(packing.pack(points))
    digest.update(labels.values.tobytes())
    return digest.hexdigest()[:32]


def name_of(examples: Examples) -> str:
    """The name under which the labels of recorded examples are stored."""
    digest = hashlib.sha256()
    for tensor in (examples.preds, examples.target, *(examples.extras[name] for name in sorted(examples.extras))):
        digest.update(str((tensor.dtype, tuple(tensor.shape))).encode())
        digest.update(tensor.contiguous().view(torch.uint8).numpy().tobytes() if tensor.numel() else b"")
    return f"recorded-{digest.hexdigest()[:32]}"


def folder() -> Path | None:
    """The folder of stored labels; None where `AUTOSURROGATE_CACHE` is off.

    It lies in the folder that the variable names, or else in the user's folder of caches.
    """
    setting = os.environ.get(VARIABLE, "")
    if setting.lower() == OFF:
        return None
    if setting:
        return Path(setting).expanduser() / _FOLDER
    return platformdirs.user_cache_path("autosurrogate", appauthor=False) / _FOLDER


def size() -> tuple[int, int]:
    """How many runs' labels are stored, and their bytes."""
    sizes = [_bytes(entry) for entry in _entries()]
    return len(sizes), sum(sizes)


def clear() -> None:
    """Remove all stored labels.

    Raises:
        OptionError: the folder cannot be removed.
    """
    for entry in _entries():
        try:
            shutil.rmtree(entry)
        except OSError as e:
            if not entry.exists():  # another process has removed it
                continue
            raise OptionError(f"{entry}: cannot be removed: {e.strerror or e}") from e


def trim(max_bytes: int = MAX_BYTES) -> None:
    """Remove the labels that were used longest ago, until the others take no more than `max_bytes`."""
    entries = sorted(_entries(), key=_used)
    n_bytes = sum(map(_bytes, entries))
    for entry in entries:
        if n_bytes <= max_bytes:
            return
        n_bytes -= _bytes(entry)
        shutil.rmtree(entry, ignore_errors=True)


def _entries() -> list[Path]:
    """The folders of keys; anything else in the folder does not belong to this program."""
    root = folder()
    if root is None or not root.is_dir():
        return []
    return [entry for entry in root.iterdir() if _KEY.fullmatch(entry.name) and entry.is_dir()]


def _used(entry: Path) -> float:
    """When labels were used last; 0 if another process has just removed them."""
    with contextlib.suppress(FileNotFoundError):
        return entry.stat().st_mtime
    return 0.0


def _bytes(entry: Path) -> int:
    """The size of the files in a folder, without those that another process has just removed or renamed."""
    n_bytes = 0
    with contextlib.suppress(FileNotFoundError):
        for file in entry.iterdir():
            with contextlib.suppress(FileNotFoundError):
                n_bytes += file.stat().st_size
    return n_bytes


def _versions(metric: Metric) -> dict[str, str]:
    """The versions of the packages that generate points, and of those that compute the metric."""
    versions = {}
    for name in ("autosurrogate", "torch", "numpy", *(part.source for part in (metric, *metric.parts))):
        with contextlib.suppress(metadata.PackageNotFoundError, ValueError):
            versions[name] = metadata.version(name)
    return versions


def _sources(metric: Metric) -> list[str]:
    """Digests of the files that define a metric's functions."""
    functions = [part.function for part in (metric, *metric.parts)]
    plain = [f.func if isinstance(f, functools.partial) else f for f in functions]  # with parameters
    codes = [getattr(inspect.unwrap(f), "__code__", None) for f in plain]
    return [digests.of_file(code.co_filename) for code in codes if code is not None]


def _generators() -> list[str]:
    """Digests of the program's random generators, which may change between versions."""
    of_points = [metric_calls.__file__, sampling.__file__, severity_calibration.__file__]
    files = [*map(Path, of_points), *Path(tasks.__file__).parent.rglob("*.py")]
    return [digests.of_file(file) for file in sorted(files)]
