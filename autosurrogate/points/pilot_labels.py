"""Labels of pilot points: whether a metric works and is quick enough, before minutes are spent on it."""

from __future__ import annotations

from collections.abc import Sequence

from autosurrogate.errors import LabellingError
from autosurrogate.labelling.labeller import Labeller
from autosurrogate.labelling.labels import Labels, check_labels
from autosurrogate.labelling.outcomes import Point
from autosurrogate.points.sampling import Pilot
from autosurrogate.points.severity_calibration import wrong_direction
from autosurrogate.registry.metric_type import Metric
from autosurrogate.run.budget import FEASIBLE, Clock


def label_pilot(metric: Metric, pilot: Pilot, labeller: Labeller, clock: Clock, n_other_calls: int) -> Labels:
    """The labels of pilot points, which show that the metric can be fitted.

    Args:
        metric: the metric.
        pilot: from `sampling.generate_pilot`.
        labeller: runs the metric.
        clock: the budget of the run.
        n_other_calls: calls of the metric that the run needs besides those on the pilot points.

    Raises:
        LabellingError: the metric fails on too many points, is constant, is too slow for the budget, or its values
            speak against its direction.
    """
    _check_speed(metric, pilot.points, labeller, clock, len(pilot.points) + n_other_calls)
    labels = labeller.label(pilot.points)
    check_labels(metric, labels.values, labels.problems)
    wrong = wrong_direction(metric, pilot.severity[pilot.is_trained], labels.values[pilot.is_trained])
    if wrong is not None:
        raise LabellingError(f"metric {metric.name!r}: {wrong}")
    return labels


def _check_speed(metric: Metric, points: Sequence[Point], labeller: Labeller, clock: Clock, n_calls: int) -> None:
    """Show by a few calls what would otherwise take minutes: that the metric hangs, fails, or is too slow."""
    few = points[:: max(1, len(points) // 16)]
    for sample in (few[:4], few):  # the first calls may load libraries
        labels = labeller.label(sample)
        if sample is few or len(labels.problems) == len(sample):
            check_labels(metric, labels.values, labels.problems)
    needed_s = n_calls * labels.seconds / len(few)
    if needed_s > FEASIBLE.of(clock.left_s):  # once more, for another worker may have loaded libraries
        needed_s = min(needed_s, n_calls * labeller.label(few).seconds / len(few))
    if needed_s > FEASIBLE.of(clock.left_s):
        raise LabellingError(
            f"metric {metric.name!r}: is too slow for the budget of {clock.budget_s:g} s: a call takes "
            f"{needed_s / n_calls:.2g} s, all workers together, and {n_calls:,} calls are the least that is "
            f"needed, {needed_s:.0f} s; raise --budget, or make the function quicker"
        )
