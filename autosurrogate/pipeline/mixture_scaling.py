"""Mixtures of metrics: each metric counts by its weight, in standard deviations over generated points."""

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

N_POINTS = 150  # the most points that a standard deviation is computed on


def parts(
    metrics: Sequence[str | Callable[..., Any] | Metric], weights: Sequence[float]
) -> tuple[list[Metric], list[float]]:
    """The metrics of a mixture and their weights, checked.

    Args:
        metrics: two or more of one task, as `find` takes them.
        weights: one each, above 0; all equal if empty.

    Raises:
        MetricError: a metric is not found, one is named twice, or they are not of one task.
        OptionError: there is not one weight for each metric, or one is not above 0.
    """
    resolved = [find(metric) for metric in metrics]
    weights = list(weights) or [1.0] * len(resolved)
    if len(weights) != len(resolved):
        raise OptionError(
            f"--weights: {len(weights)} of them for {len(resolved)} metrics; give one each, in their order"
        )
    for weight in weights:
        if not 0 < weight < math.inf:
            raise OptionError(f"--weights {weight:g}: a weight is a number above 0; leave out what is not to count")
    if len({metric.spec or id(metric.function) for metric in resolved}) < len(resolved):
        names = ", ".join(metric.name for metric in resolved)
        raise MetricError(f"a metric is named twice: {names}; give each once")
    mixed(resolved, weights)  # raises where they are not of one task
    return resolved, weights


def normalised(
    metrics: Sequence[Metric],
    weights: Sequence[float],
    *,
    timeout_s: float,
    n_workers: int | None = None,
    seed: int = 0,
) -> Metric:
    """The mixture of metrics in which each counts by its weight, whatever its range and its direction.

    Args:
        metrics: from `parts`.
        weights: one each.
        timeout_s: time limit of one call.
        n_workers: processes that call a metric; one a core if None.
        seed: of the generated points that the standard deviations are computed on.

    Raises:
        LabellingError: a metric fails on too many points, or is constant.
    """
    factors = []
    for weight, metric in zip(weights, metrics, strict=True):
        sign = 1 if metric.higher_is_better else -1
        factors.append(sign * weight / sum(weights) / _deviation(metric, timeout_s, n_workers, seed))
    return validation.check(mixed(metrics, factors))


def _deviation(metric: Metric, timeout_s: float, n_workers: int | None, seed: int) -> float:
    """The standard deviation of a metric over generated points of every quality."""
    points, *_ = sampling.generate_pilot(tasks.get(metric.task), metric, seed)
    points = points[:: -(-len(points) // N_POINTS)]
    with Labeller(metric, n_workers=n_workers, timeout_s=timeout_s) as labeller:
        labels = labeller.label(points)
    check_labels(metric, labels.values, labels.problems)
    return float(np.nanstd(labels.values))
