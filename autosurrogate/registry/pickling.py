"""How a metric is pickled for another process: by its spec, or by value if it has none."""

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
from autosurrogate.registry.registration import unchecked

#: Fields that type hints may have settled, so that a worker need not infer them again.
_DECLARED = ("task", "level", "view", "set_size")


def reduce(metric: Metric) -> tuple[Callable[..., Metric], tuple[Any, ...]]:
    """The function and its arguments that restore the metric, as `pickle` asks for them.

    Raises:
        MetricError: its function exists in this process alone and cannot be pickled.
    """
    if metric.parts:
        return _restore_mixture, (metric.parts, metric.factors, metric.view)
    if metric.spec is not None:
        return _restore_by_spec, (metric.spec, {name: getattr(metric, name) for name in _DECLARED})
    import cloudpickle  # only metrics of scripts and notebooks need it, and it delays the start of every worker

    fields = {f.name: getattr(metric, f.name) for f in dataclasses.fields(metric) if f.name != "function"}
    try:
        return _restore_by_value, (cloudpickle.dumps(metric.function), fields)
    except Exception as error:  # whatever the objects raise that the function refers to
        raise MetricError(
            f"{metric.who} cannot be sent to another process: {one_line(error)}; define it in a file "
            f"of its own and pass that as my_metrics.py:{metric.name}"
        ) from error


def _restore_by_spec(spec: str, declared: dict[str, Any]) -> Metric:
    with unchecked():
        return dataclasses.replace(look_up(spec), **declared)


def _restore_mixture(parts: tuple[Metric, ...], factors: tuple[float, ...], view: str) -> Metric:
    return dataclasses.replace(mixed(parts, factors), view=view)


def _restore_by_value(function: bytes, fields: dict[str, Any]) -> Metric:
    import cloudpickle  # see `reduce`

    return Metric(function=cloudpickle.loads(function), **fields)


copyreg.pickle(Metric, reduce)
