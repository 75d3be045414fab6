"""What a metric depends on, and whether a loss can follow it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from autosurrogate.evaluation import invariances
from autosurrogate.evaluation.invariances import Dependence
from autosurrogate.labelling.labeller import Labeller
from autosurrogate.labelling.outcomes import Point
from autosurrogate.registry.metric_type import Metric
from autosurrogate.search import short_fit
from autosurrogate.tasks import Task


def find(
    task: Task,
    metric: Metric,
    networks: Mapping[str, Mapping[str, Any]],
    labeller: Labeller,
    seed: int,
    within_s: float,
) -> list[Dependence]:
    """What the metric depends on; a short fit decides about what no network sees.

    Args:
        task: the metric's.
        metric: any.
        networks: those that may be searched, each with the settings with which it has all its features.
        labeller: of the metric.
        seed: of everything random.
        within_s: seconds that the calls of a short fit may take; none is tried where they would take longer.
    """
    n_calls, seconds = 0, 0.0

    def label(points: Sequence[Point]) -> np.ndarray:
        nonlocal n_calls, seconds
        labels = labeller.label(points)
        n_calls, seconds = n_calls + len(points), seconds + labels.seconds
        return labels.values

    found = invariances.find_dependences(task, metric, networks, label, seed)
    if short_fit.N_CALLS * seconds > within_s * n_calls:
        return found
    return [
        replace(one, fitted_spearman=short_fit.fitted_spearman(task, metric, networks, one.what, label, seed))
        if one.unseen
        else one
        for one in found
    ]


def notice(dependence: Dependence, task: Task) -> str | None:
    """What a user should know of a property that no network sees and that does not prevent a fit; None otherwise."""
    if not dependence.unseen or dependence.missed or dependence.fitted_spearman is None:
        return None
    advice = f"; {task.advice[dependence.what]}" if dependence.what in task.advice else ""
    return (
        f"the metric depends on {dependence.what} ({100 * dependence.changed:.0f} % of the values change), which no "
        f"network sees; a short fit ranks at {100 * dependence.fitted_spearman:.0f} all the same{advice}"
    )
