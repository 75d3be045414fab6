"""The module of a user's Python file."""

from __future__ import annotations

import difflib
import hashlib
import importlib
import importlib.util
import re
import sys
import threading
import traceback
from pathlib import Path
from types import ModuleType

from autosurrogate._utils.text import one_line
from autosurrogate.errors import AutosurrogateError, MetricError

_PREFIX = "autosurrogate_file_"
_LOCK = threading.RLock()
_LOADING: set[str] = set()


def load(path: str | Path) -> ModuleType:
    """Run a Python file and return its module; the same content runs once in a process.

    The module's name follows from path and content, so that other processes can unpickle its objects, and an edited
    file is a new module. The file's folder is first on `sys.path` while the file runs and last afterwards, so that the
    file can import its neighbours, also inside functions.

    Raises:
        MetricError: there is no such file, it cannot be read, or running it raises an exception.
    """
    path = Path(path).expanduser().resolve()
    source = _read(path)
    digest = hashlib.sha256(str(path).encode() + b"\0" + source).hexdigest()[:16]
    name = f"{_PREFIX}{re.sub(r'[^0-9a-zA-Z_]', '_', path.stem)}_{digest}"
    with _LOCK:
        if name in _LOADING:
            raise MetricError(
                f"{path} looks up its own metrics while it is being loaded; "
                'move the code that runs it as a script below `if __name__ == "__main__":`'
            )
        if name not in sys.modules:
            _run(name, path, source)
        return sys.modules[name]


def path_of(module_name: str) -> Path | None:
    """The file of a module from `load`; None for every other module."""
    if not module_name.startswith(_PREFIX) or module_name not in sys.modules:
        return None
    return Path(str(sys.modules[module_name].__file__))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        neighbours = [p.name for p in path.parent.glob("*.py")]
        near = difflib.get_close_matches(path.name, neighbours, 1)
        hint = f"; did you mean {near[0]}, in the same folder?" if near else ""
        raise MetricError(f"there is no file {path}{hint}") from None
    except OSError as error:
        raise MetricError(f"{path} cannot be read ({error.strerror}); expected a Python file") from None


def _run(name: str, path: Path, source: bytes) -> None:
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None:
        raise MetricError(f"{path} is not a Python file; expected a name that ends in .py")
    module = importlib.util.module_from_spec(spec)
    folder = str(path.parent)
    sys.modules[name] = module
    sys.path.insert(0, folder)
    _LOADING.add(name)
    importlib.invalidate_caches()  # a neighbour may be newer than Python's cache of the folder
    try:
        exec(compile(source, str(path), "exec", dont_inherit=True), vars(module))
    except BaseException as error:
        del sys.modules[name]
        if isinstance(error, AutosurrogateError) or not isinstance(error, Exception | SystemExit):
            raise
        raise MetricError(f"{path} cannot be loaded{_line(error, path)}: {one_line(error)}") from error
    finally:
        _LOADING.remove(name)
        sys.path.remove(folder)
    if folder not in sys.path:
        sys.path.append(folder)


def _line(error: BaseException, path: Path) -> str:
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f" (line {lines[-1]})" if lines else ""
