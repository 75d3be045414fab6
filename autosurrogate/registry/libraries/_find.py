"""Metrics of other libraries, as `library:metric?parameter=value`: one module a library."""

from __future__ import annotations

import importlib
from typing import Any

from autosurrogate.errors import MetricError
from autosurrogate.registry import parameters
from autosurrogate.registry.libraries._declaration import ADDED, Declaration
from autosurrogate.registry.metric_type import Level, Metric
from autosurrogate.registry.store import by_name

__all__ = ["LIBRARIES", "find"]

#: What stands before the colon, and the module that declares the library's metrics.
LIBRARIES = {"sklearn": "scikit_learn", "torchmetrics": "torchmetrics"}


def find(library: str, name: str, query: str) -> Metric:
    """The metric of a library, declared as its name, its place in the library and its parameters tell.

    Args:
        library: of `LIBRARIES`.
        name: what the library calls it.
        query: parameters, such as "average=macro&set_size=64"; "" for none. All are the library's own but for
            `set_size` (128), `higher_is_better`, where the library does not say or errs, and what the library's
            module adds.

    Raises:
        MetricError: the library is not installed, has no such metric, or the metric cannot be declared.
    """
    spec = f"{library}:{name}" + (f"?{query}" if query else "")
    settings = {key: parameters.literal(text) for key, text in parameters.pairs(spec, query)}
    given = {key: settings.pop(key) for key in ADDED if key in settings}
    declare = importlib.import_module(f"autosurrogate.registry.libraries.{LIBRARIES[library]}").declare
    try:
        found: Declaration = declare(name, settings)
        return Metric(
            name=(f"{library}.{name}" if name in by_name() else name) + (f"?{query}" if query else ""),
            function=found.function,
            task=found.task,
            level=found.level,
            view=found.view,
            higher_is_better=_direction(found.higher_is_better, given.get("higher_is_better")),
            set_size=_set_size(found.level, given.get("set_size")),
            source=found.source,
            spec=spec,
        )
    except MetricError as error:
        raise MetricError(f"metric {spec!r}: {error}") from None


def _set_size(level: Level, given: Any) -> int:
    if level == "sample" and given is not None:
        raise MetricError("set_size is for metrics of sets, and this one judges one example at a time; leave it out")
    size = 1 if level == "sample" else 128 if given is None else given
    if not isinstance(size, int) or isinstance(size, bool) or (level == "set" and size < 2):
        raise MetricError(f"set_size must be a whole number of at least 2, got {size!r}")
    return size


def _direction(known: bool | None, given: Any) -> bool:
    """What is given, for libraries err, or else what the library says."""
    if given is not None and not isinstance(given, bool):
        raise MetricError(f"higher_is_better must be true or false, got {given!r}")
    if known is None and given is None:
        raise MetricError(
            "the library does not say whether higher is better; say so with higher_is_better=true or =false"
        )
    return bool(known if given is None else given)
