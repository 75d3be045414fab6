"""From the spec of a library's metric to the metric."""

from __future__ import annotations

import importlib
from typing import Any

from autosurrogate.errors import MetricError
from autosurrogate.registry import parameters
from autosurrogate.registry.libraries._declaration import ADDED, Declaration
from autosurrogate.registry.metric_type import Level, Metric
from autosurrogate.registry.store import by_name

__all__ = ["LIBRARIES", "find"]

#: Prefix of the spec, and the module that declares the library's metrics.
LIBRARIES = {"sklearn": "scikit_learn", "torchmetrics": "torchmetrics"}


def find(library: str, name: str, query: str) -> Metric:
    """The metric of a library, declared by its name, its module in the library and its parameters.

    Args:
        library: one of `LIBRARIES`.
        name: its name in the library.
        query: parameters, such as "average=macro&set_size=64"; "" for none. All are the library's own except for
            `set_size` (128), `higher_is_better`, which overrides the library's, and those that the library's module
            adds.

    Raises:
        MetricError: the library is not installed, has no such metric, or the metric cannot be declared.
    """
    spec = f"{library}:{name}" + (f"?{query}" if query else "")
    settings = {key: parameters.literal(text) for key, text in parameters.pairs(spec, query)}
    added = {key: settings.pop(key) for key in ADDED if key in settings}
    declare = importlib.import_module(f"autosurrogate.registry.libraries.{LIBRARIES[library]}").declare
    try:
        declaration: Declaration = declare(name, settings)
        return Metric(
            name=(f"{library}.{name}" if name in by_name() else name) + (f"?{query}" if query else ""),
            function=declaration.function,
            task=declaration.task,
            level=declaration.level,
            view=declaration.view,
            higher_is_better=_direction(declaration.higher_is_better, added.get("higher_is_better")),
            set_size=_set_size(declaration.level, added.get("set_size")),
            source=declaration.source,
            spec=spec,
        )
    except MetricError as error:
        raise MetricError(f"metric {spec!r}: {error}") from None


def _set_size(level: Level, setting: Any) -> int:
    if level == "sample" and setting is not None:
        raise MetricError("set_size is for metrics of sets, and this one takes single examples; leave it out")
    size = 1 if level == "sample" else 128 if setting is None else setting
    if not isinstance(size, int) or isinstance(size, bool) or (level == "set" and size < 2):
        raise MetricError(f"set_size must be a whole number of at least 2, got {size!r}")
    return size


def _direction(of_library: bool | None, setting: Any) -> bool:
    """The setting, since libraries can be wrong, or else what the library defines."""
    if setting is not None and not isinstance(setting, bool):
        raise MetricError(f"higher_is_better must be true or false, got {setting!r}")
    if of_library is None and setting is None:
        raise MetricError(
            "the library does not define whether higher is better; set higher_is_better=true or higher_is_better=false"
        )
    return bool(of_library if setting is None else setting)
