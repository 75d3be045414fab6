"""Metrics of other libraries, as `library:metric?parameter=value`: one module a library."""

from __future__ import annotations

import importlib
from typing import Any

from autosurrogate import parameters
from autosurrogate.errors import MetricError
from autosurrogate.libraries._declaration import Declaration
from autosurrogate.registry import Metric

__all__ = ["LIBRARIES", "find"]

#: What stands before the colon, and the module that declares the library's metrics.
LIBRARIES = {"sklearn": "scikit_learn", "torchmetrics": "torchmetrics"}


def find(library: str, name: str, query: str) -> Metric:
    """The metric of a library, declared as its name, its place in the library and its parameters tell.

    Args:
        library: of `LIBRARIES`.
        name: what the library calls it.
        query: parameters, such as "average=macro&set_size=64"; "" for none. All are the library's own but for
            `set_size` (128), `higher_is_better`, where the library does not say, and what the library's module adds.

    Raises:
        MetricError: the library is not installed, has no such metric, or the metric cannot be declared.
    """
    spec = f"{library}:{name}" + (f"?{query}" if query else "")
    settings = {key: parameters.literal(text) for key, text in parameters.pairs(spec, query)}
    set_size, direction = settings.pop("set_size", 128), settings.pop("higher_is_better", None)
    declare = importlib.import_module(f"{__name__}.{LIBRARIES[library]}").declare
    try:
        found: Declaration = declare(name, settings)
        higher_is_better = _direction(found.higher_is_better, direction)
        if not isinstance(set_size, int) or isinstance(set_size, bool) or set_size < 2:
            raise MetricError(f"set_size must be a whole number of at least 2, got {set_size!r}")
    except MetricError as error:
        raise MetricError(f"metric {spec!r}: {error}") from None
    return Metric(
        name=name + (f"?{query}" if query else ""),
        function=found.function,
        task=found.task,
        level=found.level,
        view=found.view,
        higher_is_better=higher_is_better,
        set_size=set_size if found.level == "set" else 1,
        source=found.source,
        spec=spec,
    )


def _direction(known: bool | None, given: Any) -> bool:
    if given is not None and not isinstance(given, bool):
        raise MetricError(f"higher_is_better must be true or false, got {given!r}")
    if known is None and given is None:
        raise MetricError(
            "the library does not say whether higher is better; say so with higher_is_better=true or =false"
        )
    if known is not None and given not in (None, known):
        raise MetricError(f"higher_is_better is {str(known).lower()} by what the library says; leave it out")
    return bool(known if given is None else given)
