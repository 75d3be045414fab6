"""Writing a loss, as a TorchScript file and as a `torch.export` program that need nothing but torch."""

from __future__ import annotations

import copy
import os
import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from autosurrogate._utils.files import atomic_write, temporary_path
from autosurrogate.errors import LossFileError, OptionError
from autosurrogate.export.metadata import LossMetadata

METADATA = "metadata.json"
SOURCES = ".debug_pkl"  # ending of the records in a TorchScript file that hold paths of source code
TOLERANCE = 1e-5  # relative, between a file and the loss it was written from


def program_path(out: Path) -> Path:
    """The path of the `torch.export` program of a loss: beside its TorchScript file, ending in .pt2."""
    return out.with_suffix(".pt2")


def check_writable(out: Path, *, overwrite: bool, program: bool = True) -> None:
    """Check before a search that its loss can be written.

    Args:
        out: the TorchScript file.
        overwrite: whether existing files may be replaced.
        program: whether the `torch.export` program will be written beside it.

    Raises:
        OptionError: a file exists and may not be replaced, or the folder cannot be written to.
    """
    try:
        if out.is_dir():
            raise OptionError(f"--out {out}: is a folder; name a file, such as {out / 'loss.pt'}")
        if out.suffix != ".pt":
            raise OptionError(f"--out {out}: must end in .pt, as in --out {out.with_suffix('.pt')}")
        for path in (out, program_path(out)) if program else (out,):
            if path.is_dir():
                raise OptionError(f"--out {out}: {path} is a folder; choose another name")
            if path.exists() and not overwrite:
                raise OptionError(
                    f"--out {path}: exists already; choose another name, or pass --overwrite to replace it "
                    "(overwrite=True in Python)"
                )
        if not out.parent.exists():
            raise OptionError(f"--out {out}: cannot be written: there is no folder {out.parent}; create it first")
        probe = temporary_path(out, str(os.getpid()))
        probe.touch()
        probe.unlink()
    except OSError as e:
        raise OptionError(f"--out {out}: cannot be written: {e.strerror or e}") from e


class WrittenLoss(NamedTuple):
    """Loss files, compared with the loss.

    Args:
        sizes: of the files in bytes, by name.
        scripted: the loss as loaded from the TorchScript file.
        program: the loss as loaded from the `torch.export` program.
    """

    sizes: dict[str, int]
    scripted: nn.Module
    program: nn.Module


def write(
    loss: nn.Module,
    metadata: LossMetadata | None,
    examples: Sequence[tuple[Tensor | None, ...]],
    out: Path,
    writer: str = "",
) -> WrittenLoss:
    """Write a loss for use without this package: the TorchScript file, and beside it the `torch.export` program.

    Both are first compared with the loss itself on all the examples.

    Args:
        loss: from `surrogates.build`, trained and scaled.
        metadata: written into both files; None for a loss that is not to be read again by this package.
        examples: arguments of the loss, of two sizes or more; the program is exported with the first.
        out: the TorchScript file.
        writer: a name for what writes the files, this process by default; see `temporary_path`.

    Returns:
        The files' sizes, and what was loaded from them to compare it.

    Raises:
        LossFileError: a file does not return the values of the loss.
    """
    # The program takes the dtypes of its examples alone, and generated examples may be of half precision.
    examples = [tuple(a.float() if a is not None and a.is_floating_point() else a for a in one) for one in examples]
    frozen = freeze(loss)
    text = "" if metadata is None else metadata.to_json()
    writer = writer or str(os.getpid())
    with (  # the TorchScript file is replaced last: where it is, the program is too
        atomic_write(out, writer=writer) as scripted_path,
        atomic_write(program_path(out), writer=writer) as exported_path,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")  # TorchScript's deprecation is answered by the program beside it
        torch.jit.script(frozen).save(str(scripted_path), _extra_files={METADATA: text})  # type: ignore[no-untyped-call]
        _forget_sources(scripted_path)
        _save_program(frozen, text, examples[0], exported_path)
        scripted = torch.jit.load(str(scripted_path))  # type: ignore[no-untyped-call]
        program = torch.export.load(exported_path).module()
        for arguments in examples:
            expected = frozen(*arguments)
            for name, module in (("TorchScript file", scripted), ("torch.export program", program)):
                _compare(name, expected, module(*arguments))
    return WrittenLoss({str(path): path.stat().st_size for path in (out, program_path(out))}, scripted, program)


def freeze(loss: nn.Module) -> nn.Module:
    """A copy on the CPU with buffers for parameters, so that no optimiser trains them."""
    frozen = copy.deepcopy(loss).cpu().eval()
    for module in list(frozen.modules()):
        for name, parameter in list(module._parameters.items()):
            if parameter is not None:
                del module._parameters[name]
                module.register_buffer(name, parameter.detach().clone())
    return frozen


def _forget_sources(path: Path) -> None:
    """Remove the paths of source code from a TorchScript file.

    Torch writes them beside the compiled code, for its tracebacks. They name private folders of whoever fitted the
    loss.
    """
    with zipfile.ZipFile(path) as archive:
        records = {name: archive.read(name) for name in archive.namelist() if not name.endswith(SOURCES)}
    with zipfile.ZipFile(path, "w") as archive:
        for name, record in records.items():
            archive.writestr(zipfile.ZipInfo(name), record)


def _save_program(frozen: nn.Module, text: str, arguments: tuple[Tensor | None, ...], path: Path) -> None:
    # Contiguous, or the program would refuse tensors whose strides are not as unusual as those of its examples.
    arguments = tuple(None if a is None else a.contiguous() for a in arguments)
    auto = torch.export.Dim.AUTO
    sizes = tuple(None if a is None else dict.fromkeys(range(a.ndim), auto) for a in arguments)
    program = torch.export.export(frozen, arguments, dynamic_shapes=sizes)
    graphs = [module.graph for module in program.graph_module.modules() if isinstance(module, torch.fx.GraphModule)]
    for node in (node for graph in graphs for node in graph.nodes):  # of loops and branches, too
        node.meta.pop("stack_trace", None)  # see `_forget_sources`
    torch.export.save(program, path, extra_files={METADATA: text})


def _compare(name: str, expected: Tensor, got: Tensor) -> None:
    difference = float((got - expected).abs())
    if not difference <= TOLERANCE * max(1.0, abs(float(expected))):
        raise LossFileError(
            f"{name}: returns {float(got):g} where the loss returns {float(expected):g}; nothing was written"
        )
