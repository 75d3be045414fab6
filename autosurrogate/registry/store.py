"""The one place where declared metrics are kept."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import sys
from pathlib import Path
from types import ModuleType

from autosurrogate.errors import RegistryError
from autosurrogate.registry.function_identity import MAIN, describe, owner
from autosurrogate.registry.metric_type import Metric

_BUILTINS = "autosurrogate.metrics"
#: (scope, name) -> metric. The scope is "" for built-ins and modules that are imported as usual, and the module's
#: name for a user's file, whose names are its own.
_METRICS: dict[tuple[str, str], Metric] = {}


def add(metric: Metric, scope: str, module: str) -> None:
    """Keep a metric under its name; the latest, since a module or a notebook's cell may be run again.

    Args:
        metric: the metric.
        scope: in which the name must be unique, see `_METRICS`.
        module: name of the module that declares it.

    Raises:
        RegistryError: the name belongs to another function.
    """
    known = _METRICS.get((scope, metric.name))
    if known is not None and owner(known.function) != owner(metric.function):
        raise RegistryError(
            f"metric {metric.name!r} already belongs to {describe(known.function)}, so {describe(metric.function)} "
            "needs another name; only the names in a file that is given as file.py:function are its own"
        )
    if known is None or not is_builtin(module) or module.startswith(f"{_BUILTINS}."):
        _METRICS[scope, metric.name] = metric


def builtins() -> list[Metric]:
    """The built-in metrics, by name; neither torch nor the libraries that compute them are imported."""
    package = importlib.import_module(_BUILTINS)
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{_BUILTINS}.{module.name}")
    return sorted((m for m in _METRICS.values() if m.spec == m.name), key=lambda m: m.name)


def is_builtin(module: str) -> bool:
    """Whether it is a module of the built-in metrics, under whichever name it was imported."""
    file = getattr(sys.modules.get(module), "__file__", None)
    folders = importlib.import_module(_BUILTINS).__path__
    return file is not None and Path(file).resolve().parent in [Path(folder).resolve() for folder in folders]


def by_name() -> dict[str, Metric]:
    """The metrics of built-ins and of modules that were imported as usual, or are `__main__`."""
    builtins()
    return {name: m for (scope, name), m in _METRICS.items() if not scope}


def of_module(module: ModuleType) -> list[Metric]:
    """The metrics that a module declares."""
    name = module.__name__
    return [m for (scope, _), m in _METRICS.items() if scope == name or m.spec == f"{name}:{m.name}"]


def of_function(function: object) -> list[Metric]:
    """The metrics of a function, or of its copy where its file was imported under two names."""
    same = [m for m in _METRICS.values() if m.function is function]
    if same or not inspect.isfunction(function) or function.__closure__ or function.__module__ in MAIN:
        return same
    copies = [m for m in _METRICS.values() if getattr(m.function, "__code__", None) == function.__code__]
    return [m for m in copies if owner(m.function) == owner(function)]
