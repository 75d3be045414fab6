"""Files of named arrays, `.npz` or `.safetensors`: nothing is unpickled, and a file is whole or absent."""

from __future__ import annotations

import contextlib
import os
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
import torch
from torch import Tensor

from autosurrogate._utils.files import atomic_write
from autosurrogate.errors import OutputsError

Opened = tuple[list[str], Callable[[str], np.ndarray]]
_ADVICE = "write it again, for example with autosurrogate.outputs.Recorder"


@contextlib.contextmanager
def _open_npz(path: Path) -> Iterator[Opened]:
    try:
        with path.open("rb") as stream:  # closed here, as numpy does not always close a file that it opened
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
def _open_safetensors(path: Path) -> Iterator[Opened]:
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


def open_arrays(path: Path) -> contextlib.AbstractContextManager[Opened]:
    """The names of a file's arrays, and a function that reads one.

    Raises:
        OutputsError: there is no such file, or it cannot be read; the message lacks the file's name, see `naming`.
    """
    check_suffix(path)
    if not path.is_file():
        raise OutputsError("is a folder; pass a file" if path.is_dir() else "no such file; check the path")
    return _LOADERS[path.suffix](path)


def write(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write named arrays so that the file is either the old one or the whole new one.

    Raises:
        OutputsError: the file cannot be written.
    """
    try:
        with atomic_write(path, writer=str(os.getpid()), fsync=True) as temporary:
            if path.suffix == ".npz":
                np.savez_compressed(temporary, **arrays)  # type: ignore[arg-type]
            else:
                safetensors.numpy.save_file(arrays, temporary)
    except (OSError, safetensors.SafetensorError) as error:
        raise OutputsError(f"cannot be written ({error}); free space there, or record to another folder") from error


def check_suffix(path: Path) -> None:
    """Raise `OutputsError` unless the file's name ends as a format that can be read and written."""
    if path.suffix not in _LOADERS:
        raise OutputsError(f"the name must end in {' or '.join(_LOADERS)}, got {path.suffix!r}")


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Put the file's name before the message of an `OutputsError`."""
    try:
        yield
    except OutputsError as error:
        raise OutputsError(f"{path}: {error}") from error.__cause__
