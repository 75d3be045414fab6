"""Metrics that other packages ship: entry points of the group `autosurrogate.metrics`."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from autosurrogate._utils.text import one_line
from autosurrogate.errors import AutosurrogateError, MetricError
from autosurrogate.registry import store
from autosurrogate.registry.metric_type import Metric

GROUP = "autosurrogate.metrics"


def names() -> dict[str, str]:
    """The names of the metrics that installed packages ship, and the packages; none of them is imported."""
    return {point.name: _package(point) for point in entry_points(group=GROUP)}


def load(name: str) -> Metric:
    """The metric that a package ships under a name.

    Args:
        name: of `names()`.

    Raises:
        MetricError: what stands behind the name cannot be imported, or is not one declared metric.
    """
    point = next(one for one in entry_points(group=GROUP) if one.name == name)
    who = f"metric {name!r} of package {_package(point)} ({point.value})"
    try:
        found = store.of_function(point.load())
    except AutosurrogateError as error:
        raise MetricError(f"{who}: {error}") from error
    except (Exception, SystemExit) as error:
        raise MetricError(f"{who} cannot be imported: {one_line(error)}") from error
    if len(found) != 1:
        raise MetricError(
            f"{who} is no function that is declared as one metric with @autosurrogate.metric; tell its authors"
        )
    return found[0]


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else point.module
