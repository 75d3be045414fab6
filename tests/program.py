"""The program as a user has it: a process with arguments, a folder and a small search space."""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path
from typing import Any

import torch

from autosurrogate.outputs.recorder import Recorder

# Seconds, not minutes: one network with few features, few steps.
SPACE = """
[training]
n_steps = 60
batch_points = 32
learning_rate = 1e-2
weight_decay = 1e-4
penalty = 0.1

[networks.margin]
temperatures = [[0.3, 0.03]]
n_competitors = 3
width = 8
n_outputs = 4
"""

METRICS = """
import numpy as np

from autosurrogate import metric


@metric("macro_f1", task="classification", set_size=32)
def macro_f1(preds: np.ndarray, target: np.ndarray) -> float:
    found = []
    for c in np.unique(target):
        hits = ((preds == c) & (target == c)).sum()
        found.append(2 * hits / ((preds == c).sum() + (target == c).sum()))
    return float(np.mean(found))


@metric("rank", task="classification", level="sample", view="probabilities", higher_is_better=False)
def rank(preds: np.ndarray, target: int) -> float:
    return float((preds > preds[target]).sum())


@metric("nll", task="classification", view="probabilities", higher_is_better=False, set_size=16)
def nll(preds: np.ndarray, target: np.ndarray) -> float:
    return float(-np.log(preds[np.arange(len(target)), target]).mean())
"""

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "80"}


def command(*arguments: object) -> list[str]:
    """The program with these arguments."""
    return [sys.executable, "-m", "autosurrogate", *map(str, arguments)]


def run(*arguments: object, cwd: Path, timeout: float = 120, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    return subprocess.run(
        command(*arguments), cwd=cwd, env={**ENVIRONMENT, **environment}, capture_output=True, text=True,
        timeout=timeout, check=False,
    )  # fmt: skip


def write(path: Path, text: str) -> Path:
    """Write a text that is indented as the code around it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return path


def record(path: Path, n_rows: int, *, n_sources: int = 2, n_classes: int = 5, seed: int = 0) -> Path:
    """Recorded outputs of classifiers, one better than the other, `n_rows` of each."""
    generator = torch.Generator().manual_seed(seed)
    with Recorder(path, max_per_source=n_rows) as recorder:
        for source in range(n_sources):
            target = torch.randint(n_classes, (n_rows,), generator=generator)
            noise = torch.randn(n_rows, n_classes, generator=generator)
            sureness = 3 * torch.rand(n_rows, 1, generator=generator) * (source + 1)
            recorder(noise + sureness * torch.nn.functional.one_hot(target, n_classes), target, source=source)
    return path


def load(path: Path) -> Any:
    """An exported loss, as a user's program has it; TorchScript's own warning is not what the tests are about."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.load(str(path))  # type: ignore[no-untyped-call]


def needed(name: str, found: set[str]) -> set[str]:
    """The distributions that one needs to run, itself among them."""
    plain = re.sub(r"[-_.]+", "-", name).lower()
    if plain in found:
        return found
    try:
        requires = importlib.metadata.requires(name) or []
    except importlib.metadata.PackageNotFoundError:  # of another platform
        return found
    found.add(plain)
    for requirement in requires:
        if "extra ==" not in requirement:
            needed(re.split(r"[\s;<>=!~\[(]", requirement, maxsplit=1)[0], found)
    return found
