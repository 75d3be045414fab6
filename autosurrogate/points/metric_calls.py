"""What a metric is called with: the set sizes of its points, and the arguments of each call."""

from __future__ import annotations

from typing import Any

from autosurrogate.examples import Examples
from autosurrogate.registry.metric_type import Metric
from autosurrogate.tasks import Task


def set_size_of(metric: Metric) -> int:
    """Examples a point; for a set-level metric the set size that it is declared with."""
    return metric.set_size if metric.level == "set" else 1


def set_sizes(metric: Metric) -> tuple[int, ...]:
    """The set sizes of generated chunks, in turn: from an eighth of the declared one to four times it.

    >>> from autosurrogate.registry.lookup import find
    >>> sorted(set_sizes(find("accuracy")))
    [16, 32, 64, 128, 256, 512]
    """
    if metric.level == "sample":
        return (1,)
    return tuple(dict.fromkeys(max(2, round(metric.set_size * factor)) for factor in (1, 1 / 4, 4, 1 / 8, 2, 1 / 2)))


def n_points_of_chunk(metric: Metric) -> int:
    """Points a chunk: fewer where each is a set."""
    return 48 if metric.level == "set" else 256


def points_of(task: Task, metric: Metric, examples: Examples, set_size: int) -> list[tuple[Any, Any]]:
    """The arguments of each call of the metric on the examples, each `set_size` of them a point.

    A mixture gets, as preds and as target, a tuple of what each of its parts gets. In sets, a part that scores single
    examples gets the list of them.
    """
    point_size = set_size if metric.level == "set" else None
    if not metric.parts:
        return task.points(examples, metric.view, point_size)
    points_of_parts = [_points_of_part(task, part, examples, point_size) for part in metric.parts]
    return [(preds, target) for preds, target in (zip(*p, strict=True) for p in zip(*points_of_parts, strict=True))]


def _points_of_part(task: Task, part: Metric, examples: Examples, set_size: int | None) -> list[tuple[Any, Any]]:
    """The arguments of a part of a mixture for each point."""
    if part.level == "set" or set_size is None:
        return task.points(examples, part.view, set_size)
    samples, has_target = task.points(examples, part.view, None), task.has_target(examples)
    valid = [sample if has_target is None or has_target[i] else None for i, sample in enumerate(samples)]
    sets = [[s for s in valid[i : i + set_size] if s is not None] for i in range(0, len(samples), set_size)]
    return [([preds for preds, _ in samples], [target for _, target in samples]) for samples in sets]
