"""The losses that come with this package: of built-in metrics as they are by default, fitted as `fit` does."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autosurrogate._utils.files import atomic_write
from autosurrogate._utils.text import one_of
from autosurrogate.errors import LossFileError, MetricError
from autosurrogate.registry.lookup import find
from autosurrogate.registry.store import builtins

if TYPE_CHECKING:
    import torch

SUFFIX = ".pt"


def names() -> list[str]:
    """The metrics that a ready loss comes with."""
    return sorted(file.name[: -len(SUFFIX)] for file in _folder().iterdir() if file.name.endswith(SUFFIX))


def path(metric: str) -> Path:
    """The file of a ready loss.

    Raises:
        LossFileError: there is no ready loss of that metric.
    """
    known = names()
    if metric in known:
        return Path(str(_folder().joinpath(f"{metric}{SUFFIX}")))
    try:
        found = find(metric)
    except MetricError:
        raise LossFileError(f"no ready loss {metric!r}: {one_of(metric, known)}") from None
    spelled = " (with --tokenizer FILE if it depends on how tokens are spelled)" if found.task == "sequence" else ""
    raise LossFileError(
        f"no loss of {found.name!r} comes ready: fit one with `autosurrogate fit --metric {metric}`{spelled}"
    )


def given(loss: str | Path) -> Path:
    """The file that is meant by a path of a loss, or by the name of a ready one where there is no such file."""
    return path(str(loss)) if not Path(loss).exists() and str(loss) in names() else Path(loss)


def load(metric: str, device: torch.device | str = "cpu") -> Any:
    """A ready loss, as `torch.jit.load` gives it: call it as `loss(preds, target)`, see docs/exported-losses.md.

    Args:
        metric: name of a built-in metric.
        device: where its numbers lie.

    Returns:
        The loss, a `torch.jit.ScriptModule`.

    Raises:
        LossFileError: there is no ready loss of that metric.

    >>> import torch
    >>> loss = load("f1")
    >>> loss(torch.tensor([2.0, -1.0]), torch.tensor([1, 0])) < loss(torch.tensor([-2.0, 1.0]), torch.tensor([1, 0]))
    tensor(True)
    """
    from autosurrogate.export import reader  # which needs torch, as naming the losses does not

    return reader.load(path(metric), device)[0]


def export(metric: str, out: str | Path | None = None, *, overwrite: bool = False) -> Path:
    """Write a ready loss to a file of its own, which needs torch alone.

    Args:
        metric: name of a built-in metric.
        out: the file, ending in .pt; by default called after the metric.
        overwrite: replace the file if it exists.

    Returns:
        The file.

    Raises:
        LossFileError: there is no ready loss of that metric.
        OptionError: the file cannot be written, or exists.
    """
    from autosurrogate.export.writer import check_writable  # which needs torch, as naming the losses does not

    source = path(metric)
    out = Path(f"{metric}{SUFFIX}" if out is None else out)
    check_writable(out, overwrite=overwrite, program=False)
    with atomic_write(out, writer=str(os.getpid())) as temporary:
        shutil.copyfile(source, temporary)
    return out


def spearman(metric: str) -> float:
    """The rank correlation of a ready loss with its metric on held-out generated points; read without torch."""
    with zipfile.ZipFile(path(metric)) as file:
        (name,) = (name for name in file.namelist() if name.endswith("/extra/metadata.json"))
        return float(json.loads(file.read(name))["held_out"]["loss"]["spearman"])


def missing() -> list[str]:
    """Built-in metrics without a ready loss."""
    return sorted({metric.name for metric in builtins()} - set(names()))


def _folder() -> Any:
    return resources.files("autosurrogate.ready_losses")
