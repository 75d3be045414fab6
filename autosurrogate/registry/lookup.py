"""From what a user passes as a metric to the metric."""

from __future__ import annotations

import dataclasses
import difflib
import importlib
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from autosurrogate._utils.text import one_line, one_of
from autosurrogate.errors import AutosurrogateError, MetricError, OptionError
from autosurrogate.registry import entry_points, libraries, parameters, store, user_file, validation
from autosurrogate.registry.function_identity import describe
from autosurrogate.registry.libraries import LIBRARIES
from autosurrogate.registry.metric_type import Metric
from autosurrogate.registry.mixtures import MIXTURE, mixed


def find(spec: str | Callable[..., Any] | Metric) -> Metric:
    """The metric that `spec` names, checked.

    Args:
        spec: the name of a built-in metric, or of one that an installed package ships as an entry point;
            "path/file.py:function", or "path/file.py" if there is one metric in it; "package.module:function";
            "sklearn:f1_score" or "torchmetrics:BLEUScore"; a decorated function; a metric. The name of the function or
            of the metric follows the colon. Keyword-only arguments of the function may follow a question mark, as in
            "pck?threshold=0.1", with & between several.

    Raises:
        MetricError: there is no such metric, or its declaration is not valid.

    >>> find("bleu").level
    'sample'
    """
    return validation.check(look_up(spec))


def with_tokenizer(metric: Metric, tokenizer: str | Path | None) -> Metric:
    """A metric of sequences, with the vocabulary of its tokens.

    Args:
        metric: any metric; unchanged without a tokenizer.
        tokenizer: file of the vocabulary, as `autosurrogate.fit` takes it.

    Raises:
        OptionError: the metric is not of sequences, or the file cannot be used.
    """
    if tokenizer is None:
        return metric
    from autosurrogate import tasks  # imports torch, which listing metrics does without

    if metric.task != "sequence":
        raise OptionError(f"--tokenizer {tokenizer}: is for metrics of sequences; {metric.name!r} is of {metric.task}")
    task = tasks.get(tasks.name_with_vocabulary(tokenizer)).name
    parts = tuple(with_tokenizer(part, tokenizer) for part in metric.parts)
    return dataclasses.replace(metric, task=task, parts=parts)


def look_up(spec: str | Callable[..., Any] | Metric) -> Metric:
    """As `find`, but unchecked."""
    if isinstance(spec, Metric):
        return spec
    if not isinstance(spec, str):
        return _of_function(spec)
    if spec.startswith(MIXTURE):
        return _of_mixture(spec)
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
    known = store.by_name()
    if name in known:
        return known[name]
    shipped = entry_points.names()
    if name in shipped:
        return entry_points.load(name)
    near = difflib.get_close_matches(name, [*known, *shipped], 3, 0.5) + [
        f for f in [f"{name}.py"] if Path(f).is_file()
    ]
    raise MetricError(
        f"unknown metric {name!r}"
        + (f"; did you mean {' or '.join(map(repr, near))}?" if near else ".")
        + " `autosurrogate metrics` lists the built-in ones; pass your own function as my_metrics.py:function"
    )


def _of_file(place: str, name: str) -> Metric:
    module = user_file.load(place)
    metric = _member(module, name, place)
    path = user_file.path_of(module.__name__)
    if metric in store.of_module(module):
        return metric
    return dataclasses.replace(metric, spec=f"{path}:{name}")  # it is imported there, and other processes find it there


def _only_one_of_file(place: str) -> Metric:
    metrics = store.of_module(user_file.load(place))
    if not metrics:
        raise MetricError(f'{place} has no metric: put @autosurrogate.metric("name", task=...) above its function')
    if len(metrics) > 1:
        names = ", ".join(m.name for m in metrics)
        raise MetricError(f"{place} has {len(metrics)} metrics, {names}: name one, as in {place}:{metrics[0].name}")
    return metrics[0]


def _of_module(place: str, name: str) -> Metric:
    try:
        module = importlib.import_module(place)
    except AutosurrogateError:
        raise
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and error.name and f"{place}.".startswith(f"{error.name}."):
            file = f"{place.replace('.', '/')}.py"
            hint = "write" if Path(file).is_file() else "write a file with its ending, as in"
            raise MetricError(f"there is no module {place!r}; {hint} {file}:{name}") from None
        raise MetricError(f"module {place!r} cannot be imported: {one_line(error)}") from error
    return _member(module, name, place)


def _of_function(function: object) -> Metric:
    if not callable(function):
        raise MetricError(f"a metric must be a name, file.py:function or a function, got {function!r}")
    metrics = store.of_function(function)
    if not metrics:
        raise _not_declared(describe(function), getattr(function, "__name__", "name"))
    if len(metrics) > 1:
        names = ", ".join(m.name for m in metrics)
        raise MetricError(f"{describe(function)} is declared as {len(metrics)} metrics, {names}: pass a name")
    return metrics[0]


def _member(module: ModuleType, name: str, place: str) -> Metric:
    """The metric of a module that is called `name`, or whose function is."""
    attribute = getattr(module, name, None)
    own = store.of_module(module)
    by_function = store.of_function(attribute)
    metrics = [m for m in by_function if m.name == name] or by_function
    metrics += [m for m in own if m.name == name and m not in metrics]
    if len(metrics) == 1:
        return metrics[0]
    if metrics:
        names = " and ".join(repr(m.name) for m in metrics)
        raise MetricError(f"{name!r} may be metric {names} of {place}: pass a name that only one of them has")
    if callable(attribute) and not isinstance(attribute, type):
        raise _not_declared(f"{name} of {place}", name)
    names_here = sorted({m.name for m in own} | {k for k, v in vars(module).items() if store.of_function(v)})
    known = one_of(name, names_here) if names_here else "there is no metric in it"
    raise MetricError(f"{place} has no function {name!r}: {known}")


def _not_declared(who: str, name: str) -> MetricError:
    library, _, _ = who.partition(" of ")[2].partition(".")
    if library in LIBRARIES:
        return MetricError(f"metrics of {library} are passed as {library}:NAME, here {library}:{name}")
    return MetricError(
        f'{who} is a function that is not declared as a metric: put @autosurrogate.metric("{name}", task=...) above it'
    )


def _of_mixture(spec: str) -> Metric:
    """The mixture of a spec that `mixed` wrote; unchecked.

    Raises:
        MetricError: it is not such a spec, or one of its metrics is not found.
    """
    try:
        written = [(float(factor), str(part)) for factor, part in json.loads(spec.removeprefix(MIXTURE))]
    except (TypeError, ValueError):
        raise MetricError(f"{spec!r} is not a mixture; pass its metrics one by one, --metric A --metric B") from None
    if not written:
        raise MetricError(f"{spec!r} has no metrics; pass them one by one, --metric A --metric B")
    return mixed([look_up(part) for _, part in written], [factor for factor, _ in written])
