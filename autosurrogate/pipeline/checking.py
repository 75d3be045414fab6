"""A look at a metric before anything is fitted to it: what it is given, what it returns, what it depends on."""

from __future__ import annotations

import reprlib
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
from autosurrogate.labelling.labels import Labels, check_labels
from autosurrogate.labelling.outcomes import Point
from autosurrogate.points import metric_calls, sampling, severity_calibration
from autosurrogate.registry.lookup import find, with_tokenizer
from autosurrogate.registry.metric_type import Metric
from autosurrogate.run.budget import CALL_LIMIT_S, CHECK_S
from autosurrogate.search import search_space

SHOWN = (0.9, 0.5, 0.1)  # quantiles of the values whose points are shown
DECLARED = ("task", "level", "view", "higher_is_better", "set_size", "source")
N_AGAIN = 32  # points that are called twice
N_TRIED = 8  # calls that tell how long one takes


@dataclass(frozen=True)
class Shown:
    """One call of a metric, cut short to be read.

    Args:
        preds: what it was given.
        target: what it was given.
        returned: the number, or what came instead.
    """

    preds: str
    target: str
    returned: str


@dataclass(frozen=True)
class Report:
    """What was found.

    Args:
        metric: as it is declared.
        shown: a few of its calls, of large and of small values, and one without a value if there is any.
        n_points: that it was called on.
        dropped: how many of them have no value, by reason.
        low: least value.
        high: largest value.
        coverage: how evenly generated points will cover that range, in (0, 1], see `severity_calibration.coverage`.
        ties: share of the points whose value another point has, too.
        easy: mean value of the easiest tenth of the points.
        hard: mean value of the hardest tenth.
        changed: share of some points whose value was another one when they were called again: a metric that draws
            random numbers, or remembers what it was called with. Its loss is fitted to what does not change.
        calls_per_s: of all workers together.
        dependences: what it minds of what its task's networks might not see.
        reasons: why no loss would be fitted to it, or why it would be a wrong one; empty for a sound metric.
    """

    metric: Metric
    shown: tuple[Shown, ...]
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
        """For programs: plain values, None for a number that there is not."""
        found = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "metric"}
        found |= {name: [asdict(one) for one in found[name]] for name in ("shown", "dependences")}
        declared = {name: getattr(self.metric, name) for name in DECLARED}
        declared["task"] = tasks.name_without_vocabulary(self.metric.task)
        plain: dict[str, Any] = without_nan({"metric": self.metric.name, **declared, **found})
        return plain


@caller_settings.set_aside()
def check(metric: str | Callable[..., Any] | Metric, *, tokenizer: str | Path | None = None, seed: int = 0) -> Report:
    """Run a metric on generated points and tell what it does.

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
    found = with_tokenizer(find(metric), tokenizer)
    task = tasks.get(found.task)
    points, severity = sampling.generate_pilot(task, found, seed)
    with Labeller(found, timeout_s=CALL_LIMIT_S) as labeller:
        each = _affordable(points, labeller)
        points, severity = [points[i] for i in each], severity[each]
        labels = labeller.label(points)
        values = labels.values
        again = np.linspace(0, len(points) - 1, min(len(points), N_AGAIN)).astype(int)
        changed = _changed(values[again], labeller.label([points[i] for i in reversed(again)]).values[::-1])
        reasons: list[str] = []
        try:
            check_labels(found, values, labels.problems)
        except LabellingError as error:
            reasons.append(str(error))
        coverage, dependences = 0.0, list[Dependence]()
        if not reasons:
            coverage = _coverage(found, severity, values, labeller, seed)
            dependences = invariances.find_dependences(
                task,
                found,
                search_space.load(found.task).widest_networks(task),
                lambda some: labeller.label(some).values,
                seed,
            )
    easy, hard = (float(np.nanmean(part)) if np.isfinite(part).any() else np.nan for part in _ends(values))
    wrong = None if reasons else severity_calibration.wrong_direction(found, severity, values)
    reasons += [] if wrong is None else [f"metric {found.name!r}: {wrong}"]
    refused = invariances.refusal(dependences, task)
    kept = values[np.isfinite(values)]
    return Report(
        metric=found,
        shown=_shown(points, labels),
        n_points=len(points),
        dropped=dict(Counter(problem.kind for problem in labels.problems).most_common()),
        low=float(kept.min()) if len(kept) else np.nan,
        high=float(kept.max()) if len(kept) else np.nan,
        coverage=coverage,
        ties=_ties(kept),
        easy=easy,
        hard=hard,
        changed=changed,
        calls_per_s=len(points) / max(labels.seconds, 1e-9),
        dependences=tuple(dependences),
        reasons=(*reasons, *([f"metric {found.name!r} {refused}"] if refused else [])),
    )


def _affordable(points: Sequence[Point], labeller: Labeller) -> np.ndarray:
    """Which points to take, evenly, so that the calls take `CHECK_S` at most."""
    few = points[:: -(-len(points) // N_TRIED)]
    seconds = min(labeller.label(few).seconds for _ in range(2))  # the first calls may load libraries
    n_calls = int(CHECK_S * len(few) / max(seconds, 1e-9))
    return np.linspace(0, len(points) - 1, min(len(points), max(n_calls, 4 * N_TRIED))).astype(int)


def _changed(values: np.ndarray, again: np.ndarray) -> float:
    """The share of values that are others the second time, of those that there are."""
    both = np.isfinite(values) & np.isfinite(again)
    return float((~np.isclose(values[both], again[both], rtol=1e-6, atol=1e-9)).mean()) if both.any() else 0.0


def _ends(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first and the last tenth: the easiest and the hardest points."""
    n = max(1, len(values) // 10)
    return values[:n], values[-n:]


def _ties(values: np.ndarray) -> float:
    counts = np.unique(values, return_counts=True)[1]
    return float(counts[counts > 1].sum() / max(1, len(values)))


def _coverage(metric: Metric, severity: np.ndarray, values: np.ndarray, labeller: Labeller, seed: int) -> float:
    """The coverage of points whose severities are drawn as a fit draws them."""
    task, severities = tasks.get(metric.task), severity_calibration.calibrate(severity, values)
    examples, set_size, _ = sampling.generate_chunk(task, metric, severities, seed, "check", 0)
    drawn = labeller.label(metric_calls.points_of(task, metric, examples, set_size)).values
    return severity_calibration.coverage(drawn[np.isfinite(drawn)])


def _shown(points: Sequence[Point], labels: Labels) -> tuple[Shown, ...]:
    """Calls of large and of small values, and the first one that failed."""
    order = np.argsort(-labels.values)[: int(np.isfinite(labels.values).sum())]
    each = [order[int((1 - share) * (len(order) - 1))] for share in SHOWN] if len(order) else []
    calls = [(points[i], f"{labels.values[i]:.6g}") for i in each]
    if labels.problems:
        calls.append((points[int(np.isnan(labels.values).argmax())], labels.problems[0].message))
    return tuple(Shown(_short(preds), _short(target), returned) for (preds, target), returned in calls)


def _short(argument: Any) -> str:
    """An argument in one line."""
    short = reprlib.Repr()
    short.maxother = short.maxstring = short.maxlong = 60
    short.maxlist = 6 if isinstance(argument, list) and argument and isinstance(argument[0], int) else 2
    return short.repr(_plain(argument))


def _plain(argument: Any) -> Any:
    """Arrays as they are written in one line: their first entries and their shape."""
    if isinstance(argument, np.ndarray | np.number | np.bool_):
        return _Array(np.asarray(argument))
    if isinstance(argument, dict):
        return {name: _plain(value) for name, value in argument.items()}
    if isinstance(argument, list | tuple):
        return type(argument)(map(_plain, argument))
    return argument


class _Array:
    def __init__(self, array: np.ndarray) -> None:
        self._array = array

    def __repr__(self) -> str:
        entries = [f"{one:.3g}" if isinstance(one, float) else str(one) for one in self._array.ravel()[:4].tolist()]
        if not self._array.ndim:
            return entries[0]
        more = ", ..." if self._array.size > 4 else ""
        return f"array({', '.join(entries)}{more}; shape {'x'.join(map(str, self._array.shape))})"
