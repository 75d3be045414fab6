"""How a metric travels to another process: by what it is called by, or by value where only this process knows it."""

from __future__ import annotations

import copyreg
import dataclasses
from collections.abc import Callable
from typing import Any

from autosurrogate._utils.text import one_line
from autosurrogate.errors import MetricError
from autosurrogate.registry.lookup import look_up
from autosurrogate.registry.metric_type import Metric
from autosurrogate.registry.mixtures import mixed
from autosurrogate.registry.store import unchecked

#: What the type hints of a function may have settled, and what a worker that finds it again does not ask them for.
_DECLARED = ("task", "level", "view", "set_size")


def reduce(metric: Metric) -> tuple[Callable[..., Metric], tuple[Any, ...]]:
    """How the metric is made again, as `pickle` asks for it.

    Raises:
        MetricError: its function is known to this process alone and cannot be pickled.
    """
    if metric.parts:
        return _mixed_again, (metric.parts, metric.factors, metric.view)
    if metric.spec is not None:
        return _found_again, (metric.spec, {name: getattr(metric, name) for name in _DECLARED})
    import cloudpickle

    fields = {f.name: getattr(metric, f.name) for f in dataclasses.fields(metric) if f.name != "function"}
    try:
        return _made_again, (cloudpickle.dumps(metric.function), fields)
    except Exception as error:  # whatever the objects raise that the function refers to
        raise MetricError(
            f"{metric.who} cannot be sent to another process: {one_line(error)}; define it in a file "
            f"of its own and pass that as my_metrics.py:{metric.name}"
        ) from error


def _found_again(spec: str, declared: dict[str, Any]) -> Metric:

    with unchecked():
        return dataclasses.replace(look_up(spec), **declared)


def _mixed_again(parts: tuple[Metric, ...], factors: tuple[float, ...], view: str) -> Metric:

    return dataclasses.replace(mixed(parts, factors), view=view)


def _made_again(function: bytes, fields: dict[str, Any]) -> Metric:
    import cloudpickle

    return Metric(function=cloudpickle.loads(function), **fields)


copyreg.pickle(Metric, reduce)
