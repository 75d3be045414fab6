"""The one place where declared metrics are kept."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from autosurrogate.errors import MetricError, RegistryError
from autosurrogate.registry import inference, user_file, validation
from autosurrogate.registry.functions import MAIN, describe, owner
from autosurrogate.registry.metric_type import Level, Metric

if TYPE_CHECKING:
    from autosurrogate.tasks import Task

_BUILTINS = "autosurrogate.metrics"
#: (scope, name) -> metric. The scope is "" for built-ins and modules that are imported as usual, and the module's
#: name for a user's file, whose names are its own.
_METRICS: dict[tuple[str, str], Metric] = {}
_UNCHECKED: ContextVar[bool] = ContextVar("_UNCHECKED", default=False)


def register(
    function: Callable[..., Any],
    *,
    caller: str,
    name: str | None,
    task: str | Task | type[Task] | None,
    level: Level | None,
    view: str | None,
    higher_is_better: bool,
    set_size: int,
) -> None:
    """Keep a metric under its name; what `metric` documents, and `caller` is the module that declares it.

    Built-ins are checked when they are found, for that needs torch and listing them shall not; all others at once.
    """
    name = str(getattr(function, "__name__", "")) if name is None else name
    if task is not None and not isinstance(task, str):
        task = _added(task, f"metric {name!r} ({describe(function)})")
    if task is None:
        task, level, view = _inferred(function, name, level, view)
    level = level or "set"
    home = _home(function, caller)
    path = user_file.path_of(home)
    built_in = _is_built_in(home)
    new = Metric(
        name=name,
        function=function,
        task=task,
        level=level,
        view=view or "",
        higher_is_better=higher_is_better,
        set_size=1 if level == "sample" else set_size,
        source=str(getattr(sys.modules.get(home), "COMPUTED_BY", None) or path or home),
        spec=name if built_in else _spec(function, home, path, name),
    )
    validation.check_arguments(new, set_size)
    if not built_in and path is None:
        builtins()  # their names are taken, whether or not somebody listed them before
    if not built_in and not _UNCHECKED.get():
        new = validation.check(new)
    key = (home if path else "", name)
    known = _METRICS.get(key)
    if known is not None and owner(known.function) != owner(function):
        raise RegistryError(
            f"metric {name!r} already belongs to {describe(known.function)}, so {describe(function)} needs another "
            "name; only the names in a file that is given as file.py:function are its own"
        )
    if known is None or not built_in or home.startswith(f"{_BUILTINS}."):
        _METRICS[key] = new  # the latest, for a module or a notebook's cell may be run again


def _added(task: Task | type[Task], who: str) -> str:
    """The name of a task of one's own that `who` judges, once it is known."""
    from autosurrogate import tasks  # which need torch, as such a task does

    if not isinstance(task, tasks.Task) and not (isinstance(task, type) and issubclass(task, tasks.Task)):
        raise MetricError(f"{who}: task must be a name or a subclass of autosurrogate.Task, got {task!r}")
    return tasks.add(task)


def _inferred(
    function: Callable[..., Any], name: str, level: Level | None, view: str | None
) -> tuple[str, Level | None, str | None]:
    """Task, level and view of a metric that is declared without its task; a worker goes without."""
    if _UNCHECKED.get() or not callable(function):
        return "", level, view

    try:
        return inference.declaration(function, level=level, view=view)
    except MetricError as error:
        raise MetricError(f"metric {name!r} ({describe(function)}): {error}") from None


def builtins() -> list[Metric]:
    """The metrics that come with the package, by name; neither torch nor what computes them is imported."""
    package = importlib.import_module(_BUILTINS)
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{_BUILTINS}.{module.name}")
    return sorted((m for m in _METRICS.values() if m.spec == m.name), key=lambda m: m.name)


def by_name() -> dict[str, Metric]:
    """The metrics of built-ins and of modules that were imported as usual, or are `__main__`."""
    builtins()
    return {name: m for (scope, name), m in _METRICS.items() if not scope}


def of_module(module: ModuleType) -> list[Metric]:
    """The metrics that a module declares."""
    name = module.__name__
    return [m for (scope, _), m in _METRICS.items() if scope == name or m.spec == f"{name}:{m.name}"]


def of_function(function: object) -> list[Metric]:
    """The metrics of a function: of this very one, or of its like when its file was imported under two names."""
    same = [m for m in _METRICS.values() if m.function is function]
    if same or not inspect.isfunction(function) or function.__closure__ or function.__module__ in MAIN:
        return same
    like = [m for m in _METRICS.values() if getattr(m.function, "__code__", None) == function.__code__]
    return [m for m in like if owner(m.function) == owner(function)]


@contextmanager
def unchecked() -> Iterator[None]:
    """Where a metric is found again that was checked before it was sent: a worker then does without torch."""
    token = _UNCHECKED.set(True)
    try:
        yield
    finally:
        _UNCHECKED.reset(token)


def _home(function: Callable[..., Any], caller: str) -> str:
    """The module whose import declares the metric again.

    It is the caller's when that declares another module's finished function, and the function's own when a helper
    of another module declares it.
    """
    module = getattr(function, "__module__", None)
    name = getattr(function, "__qualname__", None)
    if module not in sys.modules or name is None or module == caller:
        return caller
    return caller if getattr(sys.modules[module], name, None) is function else str(module)


def _is_built_in(module: str) -> bool:
    """Whether it is a module of the built-in metrics, under whichever name it was imported."""
    file = getattr(sys.modules.get(module), "__file__", None)
    folders = importlib.import_module(_BUILTINS).__path__
    return file is not None and Path(file).resolve().parent in [Path(folder).resolve() for folder in folders]


def _spec(function: Callable[..., Any], home: str, path: Path | None, name: str) -> str | None:
    if path is not None:
        return f"{path}:{name}"
    imported = home in sys.modules and home not in MAIN
    return f"{home}:{name}" if imported and "<locals>" not in getattr(function, "__qualname__", "") else None
