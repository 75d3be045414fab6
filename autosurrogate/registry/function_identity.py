"""Which definition a function comes from, and what messages call it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

#: Modules whose functions only exist in this process, and whose definitions may be run again.
MAIN = ("__main__", "__mp_main__")


def describe(function: Callable[..., Any]) -> str:
    """A function as messages call it: its name and its file."""
    file, name = owner(function)
    return f"{name} of {file}"


def owner(function: Callable[..., Any]) -> tuple[str, str]:
    """File and qualified name; in `__main__`, where a notebook's cell may be run again, module and name."""
    while isinstance(function, functools.partial):
        function = function.func
    function = inspect.unwrap(function)
    module = str(getattr(function, "__module__", ""))
    name = str(getattr(function, "__qualname__", type(function).__qualname__))
    code = getattr(function, "__code__", None)
    if code is None or module in MAIN:
        return module, name
    return str(Path(code.co_filename).resolve()), name
