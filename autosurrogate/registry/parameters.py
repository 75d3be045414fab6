"""Parameters of a metric, as in `pck?threshold=0.1`: the function's keyword-only arguments."""

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
    """A spec as the metric and its parameters, without the question mark; "" where there are none.

    >>> split("metrics.py:pck?threshold=0.1"), split("pck")
    (('metrics.py:pck', 'threshold=0.1'), ('pck', ''))
    """
    found, mark, query = spec.partition("?")
    if mark and not query:
        raise MetricError(f"{spec!r}: after ? come the metric's parameters, as in {found}?name=value")
    return found, query


def apply(metric: Metric, query: str) -> Metric:
    """The metric with parameters of its function set; its name and its spec tell them.

    Args:
        metric: any, with keyword-only arguments that have defaults.
        query: such as "threshold=0.1&k=5"; "" changes nothing.

    Raises:
        MetricError: it has no such parameter, or the value is not of its kind.
    """
    if not query:
        return metric
    known = {name: kind for name, (kind, _) in _parameters(metric.function).items()}
    values: dict[str, Any] = {}
    for name, text in pairs(metric.name, query):
        if name not in known:
            can = one_of(name, known) if known else "it has no parameters (keyword-only arguments with defaults)"
            raise MetricError(f"metric {metric.name!r} has no parameter {name!r}: {can}")
        values[name] = _value(metric.name, name, text, known[name])
    told = urlencode(values, safe="/:,")
    return dataclasses.replace(
        metric,
        name=f"{metric.name}?{told}",
        function=functools.partial(metric.function, **values),
        spec=None if metric.spec is None else f"{metric.spec}?{told}",
    )


def pairs(metric: str, query: str) -> list[tuple[str, str]]:
    """Names and values of a query, as text.

    Args:
        metric: what messages call it.
        query: such as "threshold=0.1&k=5"; "" for none.

    Raises:
        MetricError: it is not of that form, or gives a parameter twice.
    """
    try:
        given = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError:
        raise MetricError(
            f"metric {metric!r}: parameters are given as name=value, with & between them, got {query!r}"
        ) from None
    for place, (name, _) in enumerate(given):
        if name in dict(given[:place]):
            raise MetricError(f"metric {metric!r}: parameter {name!r} is given twice")
    return given


def literal(text: str) -> bool | int | float | str | None:
    """What a parameter is set to whose kind is not known: nothing, a truth value, a number, else the text.

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
    """The parameters that can be set: what they are, by their hint or else by their default, and the default."""
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
