"""Whether a metric is declared as it can be called."""

from __future__ import annotations

import dataclasses
import re

from autosurrogate._utils.text import one_of
from autosurrogate.errors import MetricError
from autosurrogate.registry import type_hints
from autosurrogate.registry.functions import describe
from autosurrogate.registry.metric_type import Metric

_LEVELS = ("sample", "set")


def check(metric: Metric) -> Metric:
    """The metric with its view filled in, once task, level, view and type hints are found to fit each other.

    Raises:
        MetricError: they do not.
    """
    from autosurrogate import tasks  # tasks need torch

    if metric.parts:
        parts, order = tuple(check(part) for part in metric.parts), list(tasks.get(metric.task).views)
        view = max((part.view for part in parts), key=order.index)  # for the later ones, more is generated
        return dataclasses.replace(metric, parts=parts, view=view)
    try:
        views = tasks.get(metric.task).views
        view = metric.view or next(iter(views))
        if view not in views:
            raise MetricError(f"task {metric.task!r} has no view {view!r}: {one_of(view, views)}")
        if metric.level not in views[view]:
            known = one_of(metric.level, views[view])
            raise MetricError(f"view {view!r} of task {metric.task!r} has no level {metric.level!r}: {known}")
        type_hints.check(metric.function, views, view, metric.level)
    except MetricError as error:
        raise MetricError(f"{metric.who}: {error}") from None
    return metric if metric.view else dataclasses.replace(metric, view=view)


def check_arguments(new: Metric, set_size: object) -> None:
    """Raise `MetricError` if an argument of the decorator is not valid, whatever the task is."""
    if not callable(new.function) or isinstance(new.function, type):
        raise MetricError(f"metric {new.name!r} must be a function of (preds, target), got {new.function!r}")
    if not isinstance(new.name, str) or not re.fullmatch(r"\w[\w.+@-]*", new.name):
        raise MetricError(
            f"{describe(new.function)}: a metric's name starts with a letter, digit or _ and may go on with these and "
            f'. + @ -, got {new.name!r}; write @metric("name", task=...)'
        )
    if new.level not in _LEVELS:
        raise MetricError(f"{new.who}: there is no level {new.level!r}: {one_of(new.level, _LEVELS)}")
    if not isinstance(set_size, int) or isinstance(set_size, bool) or set_size < 2:
        raise MetricError(f"{new.who}: set_size must be a whole number of at least 2, got {set_size!r}")
    if not isinstance(new.higher_is_better, bool):
        raise MetricError(f"{new.who}: higher_is_better must be True or False, got {new.higher_is_better!r}")
    if not isinstance(new.view, str):
        raise MetricError(f"{new.who}: view must be a name, got {new.view!r}")
