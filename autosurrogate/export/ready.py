"""The ready losses: losses of built-in metrics with their default parameters, which come with the package."""

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

    from autosurrogate.export.metadata import LossMetadata

SUFFIX = ".pt"


def names() -> list[str]:
    """The metrics that a ready loss comes with."""
    return sorted(file.name[: -len(SUFFIX)] for file in _folder().iterdir() if file.name.endswith(SUFFIX))


def path(metric: str) -> Path:
    """The file of a ready loss.

    Raises:
        LossFileError: there is no ready loss of that metric.
    """
    ready = names()
    if metric in ready:
        return Path(str(_folder().joinpath(f"{metric}{SUFFIX}")))
    try:
        known = find(metric)
    except MetricError:
        raise LossFileError(f"no ready loss {metric!r}: {one_of(metric, ready)}") from None
    tokenizer = " (with --tokenizer FILE if it depends on how tokens are spelled)" if known.task == "sequence" else ""
    raise LossFileError(
        f"there is no ready loss of {known.name!r}: fit one with `autosurrogate fit --metric {metric}`{tokenizer}"
    )


def resolve(loss: str | Path) -> Path:
    """The file of a loss that is named by its path, or by the name of a ready loss if there is no such file."""
    return path(str(loss)) if not Path(loss).exists() and str(loss) in names() else Path(loss)


def load(metric: str, device: torch.device | str = "cpu") -> Any:
    """A ready loss, as `torch.jit.load` returns it: call it as `loss(preds, target)`.

    Args:
        metric: name of a built-in metric.
        device: where to load it.

    Returns:
        The loss, a `torch.jit.ScriptModule`.

    Raises:
        LossFileError: there is no ready loss of that metric.

    >>> import torch
    >>> loss = load("f1")
    >>> loss(torch.tensor([2.0, -1.0]), torch.tensor([1, 0])) < loss(torch.tensor([-2.0, 1.0]), torch.tensor([1, 0]))
    tensor(True)
    """
    from autosurrogate.export import reader  # imports torch, which listing ready losses does without

    return reader.load(path(metric), device)[0]


def export(metric: str, out: str | Path | None = None, *, overwrite: bool = False) -> Path:
    """Copy a ready loss to a file, which needs nothing but torch.

    Args:
        metric: name of a built-in metric.
        out: the file, ending in .pt; by default the name of the metric with .pt.
        overwrite: replace the file if it exists.

    Returns:
        The file.

    Raises:
        LossFileError: there is no ready loss of that metric.
        OptionError: the file cannot be written, or exists.
    """
    from autosurrogate.export.writer import check_writable  # imports torch, which listing ready losses does without

    source = path(metric)
    out = Path(f"{metric}{SUFFIX}" if out is None else out)
    check_writable(out, overwrite=overwrite, program=False)
    with atomic_write(out, writer=str(os.getpid())) as temporary:
        shutil.copyfile(source, temporary)
    return out


def metadata(metric: str) -> LossMetadata:
    """The metadata of a ready loss, read without torch.

    Raises:
        LossFileError: there is no ready loss of that metric.
    """
    from autosurrogate.export.metadata import LossMetadata  # listing ready losses does without

    return LossMetadata.from_json(_metadata_json(metric))


def spearman(metric: str) -> float:
    """Spearman's rank correlation of a ready loss with its metric on held-out generated points, in [-1, 1].

    It is read without the rest of the metadata, which is sooner for a list of all.

    Raises:
        LossFileError: there is no ready loss of that metric.
    """
    content = json.loads(_metadata_json(metric))
    return float(content["quality"]["held_out_generated"]["loss"]["spearman"])


def missing() -> list[str]:
    """Built-in metrics without a ready loss."""
    return sorted({metric.name for metric in builtins()} - set(names()))


def _metadata_json(metric: str) -> str:
    with zipfile.ZipFile(path(metric)) as file:
        (name,) = (name for name in file.namelist() if name.endswith("/extra/metadata.json"))
        return file.read(name).decode()


def _folder() -> Any:
    return resources.files("autosurrogate.ready_losses")
