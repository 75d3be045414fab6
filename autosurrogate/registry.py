"""The one place where declared metrics are kept."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import importlib
import inspect
import pkgutil
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

from autosurrogate import user_file
from autosurrogate.errors import MetricError, RegistryError

if TYPE_CHECKING:
    from autosurrogate.tasks import Task

Level = Literal["sample", "set"]

_LEVELS = ("sample", "set")
_BUILTINS = "autosurrogate.metrics"
#: What the spec of a mixture begins with.
MIXTURE = "mixture:"
#: What the type hints of a function may have settled, and what a worker that finds it again does not ask them for.
_DECLARED = ("task", "level", "view", "set_size")
_MAIN = ("__main__", "__mp_main__")
#: (scope, name) -> metric. The scope is "" for built-ins and modules that are imported as usual, and the module's
#: name for a user's file, whose names are its own.
_METRICS: dict[tuple[str, str], Metric] = {}
_UNCHECKED: ContextVar[bool] = ContextVar("_UNCHECKED", default=False)


@dataclass(frozen=True)
class Metric:
    """A metric with what the program must know about it; made by `metric`, got by `find`.

    Args:
        name: what the metric is called, and its loss's file after it.
        function: called with (preds, target) of one point; returns one number.
        task: the kind of prediction, the name of a file in `autosurrogate.tasks`.
        level: whether a point is one example ("sample") or `set_size` of them ("set").
        view: what the function is given, one of the task's views; "" until it is checked stands for the first.
        higher_is_better: the metric's direction.
        set_size: examples a point; 1 for level "sample".
        source: what computes it: a package, or the file or module of its definition.
        spec: how `find` gets it in another process; None for one that only exists in this one (defined in
            `__main__`, in a notebook, inside a function): it is pickled by value.
        parts: the metrics of a mixture, see `autosurrogate.mixture`; the function is then given, for preds and for
            target, what each of them is given.
        factors: of each part.
    """

    name: str
    function: Callable[[Any, Any], float]
    task: str
    level: Level
    view: str
    higher_is_better: bool
    set_size: int
    source: str
    spec: str | None
    parts: tuple[Metric, ...] = ()
    factors: tuple[float, ...] = ()

    def check(self) -> Metric:
        """This metric with its view filled in, once task, level, view and type hints are found to fit each other.

        Raises:
            MetricError: they do not.
        """
        from autosurrogate import hints, tasks  # tasks need torch

        if self.parts:
            parts, order = tuple(part.check() for part in self.parts), list(tasks.get(self.task).views)
            view = max((part.view for part in parts), key=order.index)  # for the later ones, more is generated
            return dataclasses.replace(self, parts=parts, view=view)
        try:
            views = tasks.get(self.task).views
            view = self.view or next(iter(views))
            if view not in views:
                raise MetricError(f"task {self.task!r} has no view {view!r}: {one_of(view, views)}")
            if self.level not in views[view]:
                known = one_of(self.level, views[view])
                raise MetricError(f"view {view!r} of task {self.task!r} has no level {self.level!r}: {known}")
            hints.check(self.function, views, view, self.level)
        except MetricError as error:
            raise MetricError(f"{self.who}: {error}") from None
        return self if self.view else dataclasses.replace(self, view=view)

    @property
    def who(self) -> str:
        """The metric as messages call it: its name, its function and where that stands."""
        return f"metric {self.name!r} ({told(self.function)})"

    def __reduce__(self) -> tuple[Callable[..., Metric], tuple[Any, ...]]:
        if self.parts:
            return _mixed_again, (self.parts, self.factors, self.view)
        if self.spec is not None:
            return _found_again, (self.spec, {name: getattr(self, name) for name in _DECLARED})
        import cloudpickle

        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "function"}
        try:
            return _made_again, (cloudpickle.dumps(self.function), fields)
        except Exception as error:  # whatever the objects raise that the function refers to
            raise MetricError(
                f"{self.who} cannot be sent to another process: {user_file.one_line(error)}; define it in a file "
                f"of its own and pass that as my_metrics.py:{self.name}"
            ) from error


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
        task = _added(task, f"metric {name!r} ({told(function)})")
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
    _check_arguments(new, set_size)
    if not built_in and path is None:
        builtins()  # their names are taken, whether or not somebody listed them before
    if not built_in and not _UNCHECKED.get():
        new = new.check()
    key = (home if path else "", name)
    known = _METRICS.get(key)
    if known is not None and _owner(known.function) != _owner(function):
        raise RegistryError(
            f"metric {name!r} already belongs to {told(known.function)}, so {told(function)} needs another name; "
            "only the names in a file that is given as file.py:function are its own"
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
    from autosurrogate import inference  # which needs tasks, and these torch

    try:
        return inference.declaration(function, level=level, view=view)
    except MetricError as error:
        raise MetricError(f"metric {name!r} ({told(function)}): {error}") from None


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
    if same or not inspect.isfunction(function) or function.__closure__ or function.__module__ in _MAIN:
        return same
    like = [m for m in _METRICS.values() if getattr(m.function, "__code__", None) == function.__code__]
    return [m for m in like if _owner(m.function) == _owner(function)]


@contextmanager
def unchecked() -> Iterator[None]:
    """Where a metric is found again that was checked before it was sent: a worker then does without torch."""
    token = _UNCHECKED.set(True)
    try:
        yield
    finally:
        _UNCHECKED.reset(token)


def told(function: Callable[..., Any]) -> str:
    """A function as messages call it: its name and where it stands."""
    file, name = _owner(function)
    return f"{name} of {file}"


def one_of(word: str, known: Iterable[str]) -> str:
    """The words that could have been meant, as an ending of a message.

    >>> one_of("sampel", ["sample", "set"])
    "expected one of sample, set; did you mean 'sample'?"
    """
    names = list(known)
    near = difflib.get_close_matches(str(word), names, 1)
    return f"expected one of {', '.join(names)}" + (f"; did you mean {near[0]!r}?" if near else "")


def _check_arguments(new: Metric, set_size: object) -> None:
    if not callable(new.function) or isinstance(new.function, type):
        raise MetricError(f"metric {new.name!r} must be a function of (preds, target), got {new.function!r}")
    if not isinstance(new.name, str) or not re.fullmatch(r"\w[\w.+@-]*", new.name):
        raise MetricError(
            f"{told(new.function)}: a metric's name starts with a letter, digit or _ and may go on with these and "
            f'. + @ -, got {new.name!r}; write @metric("name", task=...)'
        )
    if new.level not in _LEVELS:
        raise MetricError(f"{new.who}: there is no level {new.level!r}: {one_of(new.level, _LEVELS)}")
    if not isinstance(set_size, int) or isinstance(set_size, bool) or set_size < 2:
        raise MetricError(f"{new.who}: set_size must be a whole number of at least 2, got {set_size!r}")
    if not isinstance(new.higher_is_better, bool):
        raise MetricError(f"{new.who}: higher_is_better must be True or False, got {new.higher_is_better!r}")
    if not isinstance(new.view, str):
        raise MetricError(f"{new.who}: view must be a name, got {new.view!r}")


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
    imported = home in sys.modules and home not in _MAIN
    return f"{home}:{name}" if imported and "<locals>" not in getattr(function, "__qualname__", "") else None


def _owner(function: Callable[..., Any]) -> tuple[str, str]:
    """File and qualified name; in `__main__`, where a notebook's cell may be run again, only the name."""
    while isinstance(function, functools.partial):
        function = function.func
    function = inspect.unwrap(function)
    module = str(getattr(function, "__module__", ""))
    name = str(getattr(function, "__qualname__", type(function).__qualname__))
    code = getattr(function, "__code__", None)
    if code is None or module in _MAIN:
        return module, name
    return str(Path(code.co_filename).resolve()), name


def _found_again(spec: str, declared: dict[str, Any]) -> Metric:
    from autosurrogate.metric import look_up  # which imports this module

    with unchecked():
        return dataclasses.replace(look_up(spec), **declared)


def _mixed_again(parts: tuple[Metric, ...], factors: tuple[float, ...], view: str) -> Metric:
    from autosurrogate.mixture import mixed  # which imports this module

    return dataclasses.replace(mixed(parts, factors), view=view)


def _made_again(function: bytes, fields: dict[str, Any]) -> Metric:
    import cloudpickle

    return Metric(function=cloudpickle.loads(function), **fields)
