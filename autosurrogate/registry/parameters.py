"""Parameters of a metric, as in `pck?threshold=0.1`: keyword-only arguments of its function."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, get_args
from urllib.parse import parse_qsl, urlencode

from autosurrogate._utils.text import one_of
from autosurrogate.errors import MetricError
from autosurrogate.registry import type_hints
from autosurrogate.registry.metric_type import Metric

_TRUTH = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def split(spec: str) -> tuple[str, str]:
    """Split a spec into the metric and its parameters, without the question mark; "" for no parameters.

    >>> split("metrics.py:pck?threshold=0.1"), split("pck")
    (('metrics.py:pck', 'threshold=0.1'), ('pck', ''))
    """
    metric, mark, query = spec.partition("?")
    if mark and not query:
        raise MetricError(f"{spec!r}: the metric's parameters must follow the ?, as in {metric}?name=value")
    return metric, query


def apply(metric: Metric, query: str) -> Metric:
    """The metric with parameters of its function set; they become part of its name and its spec.

    Args:
        metric: a metric whose function has keyword-only arguments with defaults.
        query: such as "threshold=0.1&k=5"; "" returns the metric unchanged.

    Raises:
        MetricError: it has no such parameter, or the value has another type.
    """
    if not query:
        return metric
    known = {name: kind for name, (kind, _) in _parameters(metric.function).items()}
    values: dict[str, Any] = {}
    for name, text in pairs(metric.name, query):
        if name not in known:
            hint = one_of(name, known) if known else "it has no parameters (keyword-only arguments with defaults)"
            raise MetricError(f"metric {metric.name!r} has no parameter {name!r}: {hint}")
        values[name] = _value(metric.name, name, text, known[name])
    settings = urlencode(values, safe="/:,")
    return dataclasses.replace(
        metric,
        name=f"{metric.name}?{settings}",
        function=functools.partial(metric.function, **values),
        spec=None if metric.spec is None else f"{metric.spec}?{settings}",
    )


def pairs(metric: str, query: str) -> list[tuple[str, str]]:
    """The names and values of a query, as text.

    Args:
        metric: name of the metric, for messages.
        query: such as "threshold=0.1&k=5"; "" for none.

    Raises:
        MetricError: the query has another form, or sets a parameter twice.
    """
    try:
        settings = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError:
        raise MetricError(
            f"metric {metric!r}: parameters must be written as name=value, with & between them, got {query!r}"
        ) from None
    for i, (name, _) in enumerate(settings):
        if name in dict(settings[:i]):
            raise MetricError(f"metric {metric!r}: parameter {name!r} is set twice")
    return settings


def literal(text: str) -> bool | int | float | str | None:
    """The value of a parameter whose type is not known: None, a truth value, a number, else the text.

    >>> [literal(text) for text in ("none", "true", "3", "0.5", "macro")]
    [None, True, 3, 0.5, 'macro']
    """
    words = {"none": None, "true": True, "false": False, "yes": True, "no": False}
    if text.lower() in words:
        return words[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def defaults(metric: Metric) -> dict[str, Any]:
    """The parameters of a metric with their defaults.

    >>> from autosurrogate.registry import find
    >>> defaults(find("accuracy"))
    {}
    """
    return {name: default for name, (_, default) in _parameters(metric.function).items()}


def _parameters(function: Callable[..., Any]) -> Mapping[str, tuple[type, Any]]:
    """Each parameter with its type, from its hint or else from its default, and its default."""
    try:
        signature = inspect.signature(function)
    except (ValueError, TypeError):
        return {}
    named = [p for p in signature.parameters.values() if p.kind == inspect.Parameter.KEYWORD_ONLY]
    return {p.name: (_kind(type_hints.of(p.annotation, function), p.default), p.default) for p in named}


def _kind(hint: Any, default: Any) -> type:
    plain = [kind for kind in (hint, *get_args(hint)) if kind in (bool, int, float, str)]
    return plain[0] if plain else type(default) if isinstance(default, bool | int | float) else str


def _value(metric: str, name: str, text: str, kind: type) -> Any:
    try:
        return _TRUTH[text.lower()] if kind is bool else kind(text)
    except (KeyError, ValueError):
        expected = {bool: "true or false", int: "a whole number", float: "a number"}[kind]
        raise MetricError(f"metric {metric!r}: parameter {name!r} is {expected}, got {text!r}") from None
