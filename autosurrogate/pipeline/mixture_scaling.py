"""Several metrics as one: each counts by its weight, in standard deviations over generated points."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from autosurrogate import tasks
from autosurrogate.errors import MetricError, OptionError
from autosurrogate.labelling.labeller import Labeller
from autosurrogate.labelling.labels import check_labels
from autosurrogate.points import sampling
from autosurrogate.registry import validation
from autosurrogate.registry.lookup import find
from autosurrogate.registry.metric_type import Metric
from autosurrogate.registry.mixtures import mixed

N_POINTS = 150  # that a standard deviation is of, at most


def parts(
    metrics: Sequence[str | Callable[..., Any] | Metric], weights: Sequence[float]
) -> tuple[list[Metric], list[float]]:
    """The metrics of a mixture and their weights, checked.

    Args:
        metrics: two or more of one task, as `find` takes them.
        weights: one each, above 0; all alike if empty.

    Raises:
        MetricError: a metric is not found, one is there twice, or they are not of one task.
        OptionError: the weights are not one each, or not above 0.
    """
    found = [find(metric) for metric in metrics]
    weights = list(weights) or [1.0] * len(found)
    if len(weights) != len(found):
        raise OptionError(f"--weights: {len(weights)} of them for {len(found)} metrics; give one each, in their order")
    for weight in weights:
        if not 0 < weight < math.inf:
            raise OptionError(f"--weights {weight:g}: a weight is a number above 0; leave out what is not to count")
    if len({one.spec or id(one.function) for one in found}) < len(found):
        raise MetricError(f"a metric is there twice: {', '.join(one.name for one in found)}; give each once")
    mixed(found, weights)  # raises where they are not of one task
    return found, weights


def normalised(
    found: Sequence[Metric], weights: Sequence[float], *, timeout_s: float, n_workers: int | None = None, seed: int = 0
) -> Metric:
    """The mixture of metrics in which each counts by its weight, whatever its range and its direction.

    Args:
        found: the metrics, from `parts`.
        weights: one each.
        timeout_s: time limit of one call.
        n_workers: processes that call a metric; as many as there are cores if None.
        seed: of the generated points that the standard deviations are of.

    Raises:
        LabellingError: a metric fails on too many points, or is constant.
    """
    factors = []
    for weight, one in zip(weights, found, strict=True):
        sign = 1 if one.higher_is_better else -1
        factors.append(sign * weight / sum(weights) / _deviation(one, timeout_s, n_workers, seed))
    return validation.check(mixed(found, factors))


def _deviation(one: Metric, timeout_s: float, n_workers: int | None, seed: int) -> float:
    """The standard deviation of a metric over generated points of every quality."""
    points, _ = sampling.generate_pilot(tasks.get(one.task), one, seed)
    points = points[:: -(-len(points) // N_POINTS)]
    with Labeller(one, n_workers=n_workers, timeout_s=timeout_s) as labeller:
        labels = labeller.label(points)
    check_labels(one, labels.values, labels.problems)
    return float(np.nanstd(labels.values))
