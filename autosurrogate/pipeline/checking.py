"""The public function `check`: what a metric is called with, what it returns and what it depends on, before any fit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from autosurrogate import tasks
from autosurrogate._utils import caller_settings
from autosurrogate._utils.json_values import without_nan
from autosurrogate.errors import LabellingError
from autosurrogate.evaluation import invariances
from autosurrogate.evaluation.invariances import Dependence
from autosurrogate.labelling.labeller import Labeller
from autosurrogate.labelling.labels import check_labels
from autosurrogate.labelling.outcomes import Point
from autosurrogate.labelling.shown_calls import ShownCall, shown_calls
from autosurrogate.pipeline import dependences
from autosurrogate.points import metric_calls, sampling, severity_calibration
from autosurrogate.registry.lookup import find, with_tokenizer
from autosurrogate.registry.metric_type import Metric
from autosurrogate.run.budget import CALL_LIMIT_S, CHECK_S
from autosurrogate.search import search_space
from autosurrogate.tasks import Task

DECLARED = ("task", "level", "view", "higher_is_better", "set_size", "source")  # of a metric, in a report
N_AGAIN = 32  # points that are called twice
N_TIMED = 8  # calls that measure how long one takes


@dataclass(frozen=True)
class Report:
    """What `check` observed of a metric.

    Args:
        metric: as it is declared.
        shown: a few of its calls, with large and small values, and one without a value if there is any.
        n_points: number of points that it was called on.
        dropped: how many of them have no value, by reason.
        low: smallest value.
        high: largest value.
        coverage: how evenly generated points will cover that range, in (0, 1], see `severity_calibration.coverage`.
        ties: fraction of the points that share their value with another point.
        easy: mean value of the easiest tenth of the points.
        hard: mean value of the hardest tenth of the points.
        changed: fraction of points whose value was different when they were called again, as for a metric that draws
            random numbers or remembers its calls. Its loss is fitted to what does not change.
        calls_per_s: of all workers together.
        dependences: which properties of the predictions it depends on that its task's networks may not see.
        reasons: why no loss would be fitted to it, or a wrong one; empty for a sound metric.
    """

    metric: Metric
    shown: tuple[ShownCall, ...]
    n_points: int
    dropped: dict[str, int]
    low: float
    high: float
    coverage: float
    ties: float
    easy: float
    hard: float
    changed: float
    calls_per_s: float
    dependences: tuple[Dependence, ...]
    reasons: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """As `autosurrogate check --json` prints it: plain values, None for NaN."""
        observed = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "metric"}
        observed |= {name: [asdict(record) for record in observed[name]] for name in ("shown", "dependences")}
        declared = {name: getattr(self.metric, name) for name in DECLARED}
        declared["task"] = tasks.name_without_vocabulary(self.metric.task)
        plain: dict[str, Any] = without_nan({"metric": self.metric.name, **declared, **observed})
        return plain


@caller_settings.set_aside()
def check(metric: str | Callable[..., Any] | Metric, *, tokenizer: str | Path | None = None, seed: int = 0) -> Report:
    """Run a metric on generated points and report how it behaves.

    Args:
        metric: what `autosurrogate.fit` takes.
        tokenizer: file of the vocabulary of a metric of sequences, as `autosurrogate.fit` takes it.
        seed: of the generated points.

    Raises:
        MetricError: there is no such metric, or it is not validly declared.
        OptionError: the tokenizer cannot be used.
        LabellingError: it cannot be run at all: its file does not load in a worker, or every call hangs.

    >>> check("accuracy").reasons
    ()
    """
    resolved = with_tokenizer(find(metric), tokenizer)
    task = tasks.get(resolved.task)
    points, severity, is_trained = sampling.generate_pilot(task, resolved, seed)
    with Labeller(resolved, timeout_s=CALL_LIMIT_S) as labeller:
        index = _within_time(points, labeller)
        points, severity, is_trained = [points[i] for i in index], severity[index], is_trained[index]
        labels = labeller.label(points)
        values = labels.values
        changed = _changed_when_called_again(points, values, labeller)
        reasons: list[str] = []
        try:
            check_labels(resolved, values, labels.problems)
        except LabellingError as error:
            reasons.append(str(error))
        coverage, found = 0.0, list[Dependence]()
        if not reasons:
            coverage = _coverage(task, resolved, severity, values, labeller, seed)
            space = search_space.load(task).suited(task, resolved.view, resolved.level)
            networks = space.widest_networks(task)
            found = dependences.find(task, resolved, networks, labeller, seed, CHECK_S)
    of_trained = values[is_trained]
    wrong_direction = (
        None if reasons else severity_calibration.wrong_direction(resolved, severity[is_trained], of_trained)
    )
    refusal = invariances.refusal(found, task)
    reasons += [] if wrong_direction is None else [f"metric {resolved.name!r}: {wrong_direction}"]
    reasons += [] if refusal is None else [f"metric {resolved.name!r} {refusal}"]
    valid = values[np.isfinite(values)]
    n_tenth = max(1, len(of_trained) // 10)
    return Report(
        metric=resolved,
        shown=shown_calls(points, labels),
        n_points=len(points),
        dropped=dict(Counter(problem.kind for problem in labels.problems).most_common()),
        low=float(valid.min()) if len(valid) else np.nan,
        high=float(valid.max()) if len(valid) else np.nan,
        coverage=coverage,
        ties=_ties(valid),
        easy=_mean(of_trained[:n_tenth]),
        hard=_mean(of_trained[-n_tenth:]),
        changed=changed,
        calls_per_s=len(points) / max(labels.seconds, 1e-9),
        dependences=tuple(found),
        reasons=tuple(reasons),
    )


def _within_time(points: Sequence[Point], labeller: Labeller) -> np.ndarray:
    """Indices of evenly spaced points whose calls take at most `CHECK_S`."""
    few = points[:: -(-len(points) // N_TIMED)]
    seconds = min(labeller.label(few).seconds for _ in range(2))  # the first calls may load libraries
    n_calls = int(CHECK_S * len(few) / max(seconds, 1e-9))
    return np.linspace(0, len(points) - 1, min(len(points), max(n_calls, 4 * N_TIMED))).astype(int)


def _changed_when_called_again(points: Sequence[Point], values: np.ndarray, labeller: Labeller) -> float:
    """The fraction of values that differ when some points are called again, in reverse order."""
    index = np.linspace(0, len(points) - 1, min(len(points), N_AGAIN)).astype(int)
    first, again = values[index], labeller.label([points[i] for i in reversed(index)]).values[::-1]
    valid = np.isfinite(first) & np.isfinite(again)
    return float((~np.isclose(first[valid], again[valid], rtol=1e-6, atol=1e-9)).mean()) if valid.any() else 0.0


def _mean(values: np.ndarray) -> float:
    """The mean of those that are finite; NaN if none is."""
    return float(np.nanmean(values)) if np.isfinite(values).any() else np.nan


def _ties(values: np.ndarray) -> float:
    counts = np.unique(values, return_counts=True)[1]
    return float(counts[counts > 1].sum() / max(1, len(values)))


def _coverage(
    task: Task, metric: Metric, severity: np.ndarray, values: np.ndarray, labeller: Labeller, seed: int
) -> float:
    """The coverage of points whose severities are drawn as a fit draws them."""
    severities = severity_calibration.calibrate(severity, values)
    examples, set_size, *_ = sampling.generate_chunk(task, metric, severities, seed, "check", 0)
    drawn = labeller.label(metric_calls.points_of(task, metric, examples, set_size)).values
    return severity_calibration.coverage(drawn[np.isfinite(drawn)])
