"""From a decorated function to a metric in the store."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autosurrogate.errors import MetricError
from autosurrogate.registry import inference, store, user_file, validation
from autosurrogate.registry.function_identity import MAIN, describe
from autosurrogate.registry.metric_type import Level, Metric

if TYPE_CHECKING:
    from autosurrogate.tasks import Task

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
    """Declare a metric, see `autosurrogate.metric`; `caller` is the name of the module that declares it.

    All metrics are checked here, except for built-ins. They are checked when they are looked up, since checking needs
    torch, and listing them must be quick.
    """
    name = str(getattr(function, "__name__", "")) if name is None else name
    if task is not None and not isinstance(task, str):
        task = _registered_task(task, f"metric {name!r} ({describe(function)})")
    if task is None:
        task, level, view = _inferred(function, name, level, view)
    level = level or "set"
    home = _home(function, caller)
    path = user_file.path_of(home)
    is_builtin = store.is_builtin(home)
    metric = Metric(
        name=name,
        function=function,
        task=task,
        level=level,
        view=view or "",
        higher_is_better=higher_is_better,
        set_size=1 if level == "sample" else set_size,
        source=str(getattr(sys.modules.get(home), "COMPUTED_BY", None) or path or home),
        spec=name if is_builtin else _spec(function, home, path, name),
    )
    validation.check_arguments(metric, set_size)
    if not is_builtin and path is None:
        store.builtins()  # their names are taken, whether or not they were listed before
    if not is_builtin and not _UNCHECKED.get():
        metric = validation.check(metric)
    store.add(metric, home if path else "", home)


@contextmanager
def unchecked() -> Iterator[None]:
    """Register without checks, in a worker, where the metric was checked before it was sent; torch is not imported."""
    token = _UNCHECKED.set(True)
    try:
        yield
    finally:
        _UNCHECKED.reset(token)


def _registered_task(task: Task | type[Task], who: str) -> str:
    """The name of a user's own task, which is registered."""
    from autosurrogate import tasks  # imports torch, which listing metrics does without

    if not isinstance(task, tasks.Task) and not (isinstance(task, type) and issubclass(task, tasks.Task)):
        raise MetricError(f"{who}: task must be a name or a subclass of autosurrogate.Task, got {task!r}")
    return tasks.register(task)


def _inferred(
    function: Callable[..., Any], name: str, level: Level | None, view: str | None
) -> tuple[str, Level | None, str | None]:
    """Task, level and view of a metric that is declared without its task; an unchecked one does not need them."""
    if _UNCHECKED.get() or not callable(function):
        return "", level, view
    try:
        return inference.declaration(function, level=level, view=view)
    except MetricError as error:
        raise MetricError(f"metric {name!r} ({describe(function)}): {error}") from None


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


def _spec(function: Callable[..., Any], home: str, path: Path | None, name: str) -> str | None:
    if path is not None:
        return f"{path}:{name}"
    imported = home in sys.modules and home not in MAIN
    return f"{home}:{name}" if imported and "<locals>" not in getattr(function, "__qualname__", "") else None
