"""How a metric is declared, and found again by what the user calls it."""

from __future__ import annotations

import dataclasses
import difflib
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar, overload

from autosurrogate import libraries, packages, parameters, registry, user_file
from autosurrogate.errors import AutosurrogateError, MetricError, OptionError
from autosurrogate.libraries import LIBRARIES
from autosurrogate.registry import Level, Metric, builtins

if TYPE_CHECKING:
    from autosurrogate.tasks import Task

__all__ = ["Metric", "builtins", "find", "metric", "with_tokenizer"]

Score = TypeVar("Score", bound=Callable[..., Any])


@overload
def metric(name: Score) -> Score: ...
@overload
def metric(
    name: str | None = None,
    *,
    task: str | Task | type[Task] | None = None,
    level: Level | None = None,
    view: str | None = None,
    higher_is_better: bool = True,
    set_size: int = 128,
) -> Callable[[Score], Score]: ...
def metric(
    name: str | Score | None = None,
    *,
    task: str | Task | type[Task] | None = None,
    level: Level | None = None,
    view: str | None = None,
    higher_is_better: bool = True,
    set_size: int = 128,
) -> Score | Callable[[Score], Score]:
    """Declare a function to be a metric; the function comes back unchanged.

    Args:
        name: what to call it; as the function is called by default. `@metric` alone will do for a function whose type
            hints say all else.
        task: the kind of prediction it judges, such as "classification" or "sequence", or a subclass of
            `autosurrogate.Task`. Left out, it follows with level and view from the type hints and the names of the
            function's two parameters, where they settle it.
        level: "sample" if it is called with one example, "set" (the default beside a task) if with `set_size` of them.
        view: what it is given, one of the task's views; the task's first by default.
        higher_is_better: whether a larger value is the better one.
        set_size: number of examples in a set, at least 2; of no meaning for level "sample".

    Raises:
        MetricError: an argument is not valid, the function's type hints contradict level and view, or do not settle a
            task that is left out.
        RegistryError: the name belongs to another function. The names in a file that is given as
            `file.py:function` are its own and collide with none outside it.

    >>> @metric("length_ratio", task="sequence", level="sample", view="tokens")
    ... def length_ratio(preds: list, target: list) -> float:
    ...     return min(len(preds), len(target)) / max(len(preds), len(target), 1)
    >>> find(length_ratio).view
    'tokens'
    >>> @metric
    ... def shared_words(hypothesis: str, reference: str) -> float:
    ...     return len(set(hypothesis.split()) & set(reference.split()))
    >>> find(shared_words).task, find(shared_words).level, find(shared_words).view
    ('sequence', 'sample', 'text')
    """
    caller = str(sys._getframe(1).f_globals.get("__name__", "__main__"))

    def register(function: Score, name: str | None) -> Score:
        registry.register(
            function,
            caller=caller,
            name=name,
            task=task,
            level=level,
            view=view,
            higher_is_better=higher_is_better,
            set_size=set_size,
        )
        return function

    if callable(name):
        return register(name, None)
    return lambda function: register(function, name)


def find(spec: str | Callable[..., Any] | Metric) -> Metric:
    """The metric that `spec` stands for, checked.

    Args:
        spec: the name of a built-in metric, or of one that an installed package ships as an entry point;
            "path/file.py:function", or "path/file.py" if there is one metric in it; "package.module:function";
            "sklearn:f1_score" or "torchmetrics:BLEUScore"; a decorated function; a metric. After the colon stands the
            function's name or the metric's. Keyword-only arguments of the function may be set behind a question mark,
            as in "pck?threshold=0.1"; more of them with & between.

    Raises:
        MetricError: there is none, or it is not validly declared.

    >>> find("bleu").level
    'sample'
    """
    return look_up(spec).check()


def with_tokenizer(metric: Metric, tokenizer: str | Path | None) -> Metric:
    """A metric of sequences as one of the tokens of a vocabulary, whose spelling is known.

    Args:
        metric: any; unchanged without a tokenizer.
        tokenizer: file of the vocabulary, see `autosurrogate.vocabulary.read`.

    Raises:
        OptionError: the metric is of something else, or the file cannot be used.
    """
    if tokenizer is None:
        return metric
    from autosurrogate import tasks  # which need torch

    if metric.task != "sequence":
        raise OptionError(f"--tokenizer {tokenizer}: is for metrics of sequences; {metric.name!r} is of {metric.task}")
    task = tasks.get(tasks.spelled(tokenizer)).name
    parts = tuple(with_tokenizer(part, tokenizer) for part in metric.parts)
    return dataclasses.replace(metric, task=task, parts=parts)


def look_up(spec: str | Callable[..., Any] | Metric) -> Metric:
    """What `find` finds, unchecked."""
    if isinstance(spec, Metric):
        return spec
    if not isinstance(spec, str):
        return _of_function(spec)
    if spec.startswith(registry.MIXTURE):
        from autosurrogate import mixture  # which looks up its parts here

        return mixture.look_up(spec)
    spec, query = parameters.split(spec)
    library, colon, name = spec.partition(":")
    if colon and library in LIBRARIES:
        return libraries.find(library, name, query)
    return parameters.apply(_of_text(spec), query)


def _of_text(spec: str) -> Metric:
    place, colon, name = spec.rpartition(":")
    if colon and place.endswith(".py"):
        return _of_file(place, name)
    if spec.endswith(".py"):
        return _only_one_of_file(spec)
    return _of_module(place, name) if colon else _of_name(spec)


def _of_name(name: str) -> Metric:
    known = registry.by_name()
    if name in known:
        return known[name]
    shipped = packages.names()
    if name in shipped:
        return packages.load(name)
    near = difflib.get_close_matches(name, [*known, *shipped], 3, 0.5) + [
        f for f in [f"{name}.py"] if Path(f).is_file()
    ]
    raise MetricError(
        f"unknown metric {name!r}"
        + (f"; did you mean {' or '.join(map(repr, near))}?" if near else ".")
        + " `autosurrogate metrics` lists the built-in ones; a function of yours is given as my_metrics.py:function"
    )


def _of_file(place: str, name: str) -> Metric:
    module = user_file.load(place)
    found = _member(module, name, place)
    path = user_file.path_of(module.__name__)
    if found in registry.of_module(module):
        return found
    return dataclasses.replace(found, spec=f"{path}:{name}")  # what it imports others find by way of it, too


def _only_one_of_file(place: str) -> Metric:
    found = registry.of_module(user_file.load(place))
    if not found:
        raise MetricError(f'{place} has no metric: put @autosurrogate.metric("name", task=...) above its function')
    if len(found) > 1:
        names = ", ".join(m.name for m in found)
        raise MetricError(f"{place} has {len(found)} metrics, {names}: say which, as in {place}:{found[0].name}")
    return found[0]


def _of_module(place: str, name: str) -> Metric:
    try:
        module = importlib.import_module(place)
    except AutosurrogateError:
        raise
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and error.name and f"{place}.".startswith(f"{error.name}."):
            file = f"{place.replace('.', '/')}.py"
            hint = "write" if Path(file).is_file() else "a file is given with its ending, as in"
            raise MetricError(f"there is no module {place!r}; {hint} {file}:{name}") from None
        raise MetricError(f"module {place!r} cannot be imported: {user_file.one_line(error)}") from error
    return _member(module, name, place)


def _of_function(function: object) -> Metric:
    if not callable(function):
        raise MetricError(f"a metric is given by name, as file.py:function, or as a function, got {function!r}")
    found = registry.of_function(function)
    if not found:
        raise _not_declared(registry.told(function), getattr(function, "__name__", "name"))
    if len(found) > 1:
        names = ", ".join(m.name for m in found)
        raise MetricError(f"{registry.told(function)} is declared as {len(found)} metrics, {names}: pass a name")
    return found[0]


def _member(module: ModuleType, name: str, place: str) -> Metric:
    """The metric in a module whose function, or who itself, is called `name`."""
    attribute = getattr(module, name, None)
    own = registry.of_module(module)
    by_function = registry.of_function(attribute)
    found = [m for m in by_function if m.name == name] or by_function
    found += [m for m in own if m.name == name and m not in found]
    if len(found) == 1:
        return found[0]
    if found:
        names = " and ".join(repr(m.name) for m in found)
        raise MetricError(f"{name!r} may be metric {names} of {place}: pass a name that only one of them has")
    if callable(attribute) and not isinstance(attribute, type):
        raise _not_declared(f"{name} of {place}", name)
    names_here = sorted({m.name for m in own} | {k for k, v in vars(module).items() if registry.of_function(v)})
    known = registry.one_of(name, names_here) if names_here else "there is no metric in it at all"
    raise MetricError(f"{place} has no function {name!r}: {known}")


def _not_declared(who: str, name: str) -> MetricError:
    library, _, _ = who.partition(" of ")[2].partition(".")
    if library in LIBRARIES:
        return MetricError(f"metrics of {library} are given as {library}:NAME, here {library}:{name}")
    return MetricError(
        f'{who} is a function that is not declared as a metric: put @autosurrogate.metric("{name}", task=...) above it'
    )
