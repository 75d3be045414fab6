"""Metrics of installed packages: entry points of the group `autosurrogate.metrics`."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from autosurrogate._utils.text import one_line
from autosurrogate.errors import AutosurrogateError, MetricError
from autosurrogate.registry import store
from autosurrogate.registry.metric_type import Metric

GROUP = "autosurrogate.metrics"


def names() -> dict[str, str]:
    """Name of each metric of an installed package, to the package; no package is imported."""
    return {point.name: _package(point) for point in entry_points(group=GROUP)}


def load(name: str) -> Metric:
    """The metric of an installed package.

    Args:
        name: one of `names()`.

    Raises:
        MetricError: the entry point cannot be imported, or is not exactly one declared metric.
    """
    point = next(point for point in entry_points(group=GROUP) if point.name == name)
    who = f"metric {name!r} of package {_package(point)} ({point.value})"
    try:
        metrics = store.of_function(point.load())
    except AutosurrogateError as error:
        raise MetricError(f"{who}: {error}") from error
    except (Exception, SystemExit) as error:
        raise MetricError(f"{who} cannot be imported: {one_line(error)}") from error
    if len(metrics) != 1:
        raise MetricError(
            f"{who} is not a function that is declared as one metric with @autosurrogate.metric; report it to the "
            "authors of the package"
        )
    return metrics[0]


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else point.module
