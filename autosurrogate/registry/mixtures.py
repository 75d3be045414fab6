"""Several metrics as one: the weighted mean of their values, each in standard deviations over generated points."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from autosurrogate.errors import MetricError
from autosurrogate.registry.metric_type import Metric

#: What the spec of a mixture begins with.
MIXTURE = "mixture:"


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


def told(mixture: Metric) -> str:
    """A mixture as a formula."""
    parts = zip(mixture.factors, mixture.parts, strict=True)
    return " + ".join(f"{factor:.3g} * {part.name}" for factor, part in parts).replace("+ -", "- ")


def _mean(part: Metric, preds: Sequence[Any], target: Sequence[Any]) -> float:
    """A metric of single examples over a set; examples where it is not defined are left out."""
    import numpy as np  # which listing metrics does without

    values = [part.function(p, t) for p, t in zip(preds, target, strict=True)]
    return float(np.nanmean(values)) if values else math.nan
