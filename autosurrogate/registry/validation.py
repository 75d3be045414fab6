"""Checks of a metric's declaration."""

from __future__ import annotations

import dataclasses
import re

from autosurrogate._utils.text import one_of
from autosurrogate.errors import MetricError
from autosurrogate.registry import type_hints
from autosurrogate.registry.function_identity import describe
from autosurrogate.registry.metric_type import Metric

_LEVELS = ("sample", "set")


def check(metric: Metric) -> Metric:
    """Check that task, level, view and type hints fit each other; returns the metric with its view filled in.

    Raises:
        MetricError: they do not fit.
    """
    from autosurrogate import tasks  # imports torch, which listing metrics does without

    if metric.parts:
        parts, order = tuple(check(part) for part in metric.parts), list(tasks.get(metric.task).views)
        view = max(
            (part.view for part in parts), key=order.index
        )  # the last in the task's order, since its points suit the other views as well
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


def check_arguments(metric: Metric, set_size: object) -> None:
    """Raise `MetricError` if an argument of the decorator is not valid for any task."""
    if not callable(metric.function) or isinstance(metric.function, type):
        raise MetricError(f"metric {metric.name!r} must be a function of (preds, target), got {metric.function!r}")
    if not isinstance(metric.name, str) or not re.fullmatch(r"\w[\w.+@-]*", metric.name):
        raise MetricError(
            f"{describe(metric.function)}: a metric's name must start with a letter, digit or _ and continue with "
            f'these or . + @ -, got {metric.name!r}; write @metric("name", task=...)'
        )
    if metric.level not in _LEVELS:
        raise MetricError(f"{metric.who}: there is no level {metric.level!r}: {one_of(metric.level, _LEVELS)}")
    if not isinstance(set_size, int) or isinstance(set_size, bool) or set_size < 2:
        raise MetricError(f"{metric.who}: set_size must be a whole number of at least 2, got {set_size!r}")
    if not isinstance(metric.higher_is_better, bool):
        raise MetricError(f"{metric.who}: higher_is_better must be True or False, got {metric.higher_is_better!r}")
    if not isinstance(metric.view, str):
        raise MetricError(f"{metric.who}: view must be a name, got {metric.view!r}")
