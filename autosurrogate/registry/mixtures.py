"""Mixtures: several metrics as one, the weighted sum of their values."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from autosurrogate.errors import MetricError
from autosurrogate.registry.metric_type import Metric

#: Beginning of the spec of a mixture.
MIXTURE = "mixture:"


def mixed(parts: Sequence[Metric], factors: Sequence[float]) -> Metric:
    """The metric that is the sum of metrics of one task, each times a factor; higher is better.

    If one of the metrics is of sets, those of single examples count by their mean over a set.
    """
    if any(part.parts for part in parts):
        raise MetricError("a mixture cannot contain another; pass all metrics one by one")
    if len({part.task for part in parts}) > 1:
        tasks = ", ".join(f"{part.name} of {part.task}" for part in parts)
        raise MetricError(f"metrics of one loss must be of one task, got {tasks}")
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


def formula(mixture: Metric) -> str:
    """A mixture as a formula, such as `0.5 * f1 - 0.5 * wer`."""
    parts = zip(mixture.factors, mixture.parts, strict=True)
    return " + ".join(f"{factor:.3g} * {part.name}" for factor, part in parts).replace("+ -", "- ")


def _mean(part: Metric, preds: Sequence[Any], target: Sequence[Any]) -> float:
    """The mean of a metric of single examples over a set, without the examples on which it is not defined."""
    import numpy as np  # listing metrics does without, and it takes time to import

    values = [part.function(p, t) for p, t in zip(preds, target, strict=True)]
    return float(np.nanmean(values)) if values else math.nan
