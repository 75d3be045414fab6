"""Several metrics as one: the weighted mean of their values, each in standard deviations over generated points."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from autosurrogate.errors import MetricError, OptionError
from autosurrogate.metric import find
from autosurrogate.metric import look_up as look_up_part
from autosurrogate.registry import MIXTURE, Metric

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
    return mixed(found, factors).check()


def mixed(parts: Sequence[Metric], factors: Sequence[float]) -> Metric:
    """The metric that is the sum of metrics of one task, each times a factor; higher is better.

    Metrics of single examples count by their mean over a set where another part is of sets.
    """
    if any(part.parts for part in parts):
        raise MetricError("a mixture cannot be a part of another; give all metrics one by one")
    if len({part.task for part in parts}) > 1:
        told = ", ".join(f"{part.name} of {part.task}" for part in parts)
        raise MetricError(f"one loss is for metrics of one task, got {told}")
    in_sets = any(part.level == "set" for part in parts)
    specs = [part.spec for part in parts]

    def mixture(preds: Sequence[Any], target: Sequence[Any]) -> float:
        return sum(
            factor * (_mean(part, p, t) if in_sets and part.level == "sample" else part.function(p, t))
            for factor, part, p, t in zip(factors, parts, preds, target, strict=True)
        )

    return Metric(
        name="+".join(part.name for part in parts),
        function=mixture,
        task=parts[0].task,
        level="set" if in_sets else "sample",
        view="",
        higher_is_better=True,
        set_size=max(part.set_size for part in parts),
        source=", ".join(dict.fromkeys(part.source for part in parts)),
        spec=None if None in specs else MIXTURE + json.dumps(list(zip(factors, specs, strict=True))),
        parts=tuple(parts),
        factors=tuple(factors),
    )


def look_up(spec: str) -> Metric:
    """The mixture of a spec, as `mixed` writes it; unchecked.

    Raises:
        MetricError: it is not such a spec, or a part of it is not found.
    """
    try:
        written = [(float(factor), str(part)) for factor, part in json.loads(spec.removeprefix(MIXTURE))]
    except (TypeError, ValueError):
        raise MetricError(f"{spec!r} is no mixture; give its metrics one by one, --metric A --metric B") from None
    if not written:
        raise MetricError(f"{spec!r} has no metrics; give them one by one, --metric A --metric B")
    return mixed([look_up_part(part) for _, part in written], [factor for factor, _ in written])


def told(mixture: Metric) -> str:
    """A mixture as a formula."""
    parts = zip(mixture.factors, mixture.parts, strict=True)
    return " + ".join(f"{factor:.3g} * {part.name}" for factor, part in parts).replace("+ -", "- ")


def _mean(part: Metric, preds: Sequence[Any], target: Sequence[Any]) -> float:
    """A metric of single examples over a set; examples where it is not defined are left out."""
    values = [part.function(p, t) for p, t in zip(preds, target, strict=True)]
    return float(np.nanmean(values)) if values else math.nan


def _deviation(one: Metric, timeout_s: float, n_workers: int | None, seed: int) -> float:
    """The standard deviation of a metric over generated points of every quality."""
    from autosurrogate import sampling, tasks  # which need torch, and a worker looks mixtures up without
    from autosurrogate.labelling import Labeller
    from autosurrogate.labels import check_labels

    points, _ = sampling.pilot(tasks.get(one.task), one, seed)
    points = points[:: -(-len(points) // N_POINTS)]
    with Labeller(one, n_workers=n_workers, timeout_s=timeout_s) as labeller:
        labels = labeller.label(points)
    check_labels(one, labels.values, labels.problems)
    return float(np.nanstd(labels.values))
