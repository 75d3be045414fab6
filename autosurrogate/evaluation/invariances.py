"""What a metric depends on that no network of its task sees.

A network sees which tokens are equal, not how they are spelled; which competitor of the target is strong, not which
class that is. A metric depends on such a property if its values change when only the property changes
(`Task.perturbations`). A network sees the property if its features predict how the values change.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from autosurrogate import surrogates
from autosurrogate.evaluation import changed_points
from autosurrogate.examples import Examples
from autosurrogate.labelling.outcomes import Point
from autosurrogate.labelling.shown_calls import ShownCall, shown_change
from autosurrogate.points import metric_calls
from autosurrogate.rank_correlation.statistics import spearman
from autosurrogate.registry.metric_type import Metric
from autosurrogate.surrogates import Loss
from autosurrogate.tasks import Task

N_BATCHES = 8  # generated; each has its own sizes
POINTS_A_BATCH = 4
N_CALLS = 4 * N_BATCHES * POINTS_A_BATCH  # of the metric, about
MIN_CHANGE = 1e-6  # of a value, as a fraction of the range of all values; less is rounding
MIN_CHANGED = 0.05  # fraction of points whose value changes; less may be rounding
SAME_ORDER = 0.9995  # rank correlation above which the order is the same but for rounding
ENOUGH = 0.9  # rank correlation of a short fit on changed points, with which a metric is not refused
SEEN = 0.3  # fraction of the variance of the values' changes that a network's features must explain
RIDGE = 0.1  # penalty of the regression that explains it, per point
MIN_SPREAD = 1e-4  # standard deviation of a feature's changes; a feature below it is constant

Networks = Mapping[str, Mapping[str, Any]]  # network to the settings with which it has all its features
Label = Callable[[Sequence[tuple[Any, Any]]], np.ndarray]


@dataclass(frozen=True)
class Dependence:
    """How a metric and the networks of its task react to a change that leaves the quality as it is.

    Args:
        what: the property that is changed.
        changed: fraction of the points whose value changes, less the fraction that changes when nothing is changed, as
            a random metric's does.
        agreement: Spearman's correlation, in [-1, 1], of the values before and after.
        seen_by: the networks whose features predict how the values change; empty where the metric does not depend on
            the property, since no network is then tried.
        example: the point whose value changes most, before and after; None where the metric does not depend on the
            property.
        fitted_spearman: the rank correlation that a short fit reaches on changed points, in [-1, 1]; None where none
            was tried.
    """

    what: str
    changed: float
    agreement: float
    seen_by: tuple[str, ...]
    example: tuple[ShownCall, ShownCall] | None = None
    fitted_spearman: float | None = None

    @property
    def matters(self) -> bool:
        """Whether the metric's order of points depends on the property."""
        return self.changed >= MIN_CHANGED and self.agreement < SAME_ORDER

    @property
    def unseen(self) -> bool:
        """Whether the property matters and no network's features predict how."""
        return self.matters and not self.seen_by

    @property
    def missed(self) -> bool:
        """Whether it is unseen, and no short fit has shown that a loss follows the metric all the same."""
        return self.unseen and (self.fitted_spearman is None or self.fitted_spearman < ENOUGH)


def find_dependences(task: Task, metric: Metric, networks: Networks, label: Label, seed: int = 0) -> list[Dependence]:
    """Which of the properties that `Task.perturbations` changes a metric depends on, and which networks see them.

    Args:
        task: the metric's.
        metric: any.
        networks: the networks to try.
        label: the metric of points, NaN where it has no value.
        seed: of the generated points and of the changes.

    Returns:
        One for each property.
    """
    batches = list(changed_points.generate(task, metric, "unseen", N_BATCHES, POINTS_A_BATCH, seed))
    points = _points(task, metric, [examples for examples, _ in batches])
    before, again = (label(points) for _ in range(2))
    dependences = []
    for what in batches[0][1]:
        changed = [versions[what] for _, versions in batches]
        changed_of = _points(task, metric, changed)
        after = label(changed_of)
        dependence = Dependence(what, _changed(before, after, again), _agreement(before, after), ())
        if dependence.matters:
            pairs = [(examples, other) for (examples, _), other in zip(batches, changed, strict=True)]
            seen_by = [name for name in networks if _sees(task, metric, name, networks[name], pairs, after - before)]
            example = _example(points, changed_of, before, after)
            dependence = replace(dependence, seen_by=tuple(seen_by), example=example)
        dependences.append(dependence)
    return dependences


def _changed(before: np.ndarray, after: np.ndarray, again: np.ndarray) -> float:
    """The fraction of values that a change changes or removes, less the fraction that differs when called again.

    0 where the difference is within chance, for a metric that is random.
    """
    valid = np.isfinite(before)
    if not valid.any():
        return 0.0
    threshold = MIN_CHANGE * np.ptp(before[valid])
    changed, random = (
        float((~np.isfinite(other[valid]) | (np.abs(before - other)[valid] > threshold)).mean())
        for other in (after, again)
    )
    chance = 3 * math.sqrt(2 * random * (1 - random) / valid.sum())
    return changed - random if changed - random > chance else 0.0


def _agreement(before: np.ndarray, after: np.ndarray) -> float:
    """Spearman's correlation over the points that have both values; 0 where it is not defined."""
    valid = np.isfinite(before) & np.isfinite(after)
    correlation = float(spearman(before[valid], after[valid])) if valid.sum() > 1 else math.nan
    return 0.0 if math.isnan(correlation) else correlation


def _example(
    points: Sequence[Point], changed: Sequence[Point], before: np.ndarray, after: np.ndarray
) -> tuple[ShownCall, ShownCall] | None:
    """The point whose value changes most, and its changed version; None if no point has both values."""
    change = np.abs(after - before)
    if not np.isfinite(change).any():
        return None
    i = int(np.nanargmax(change))
    return shown_change(points[i], changed[i], (f"{before[i]:.6g}", f"{after[i]:.6g}"))


def excluded_networks(networks: Collection[str], task: Task, dependences: Sequence[Dependence]) -> dict[str, str]:
    """Networks that do not suit the metric, and why, in words.

    Such a network does not see a property that the metric depends on, or is built for one that it does not depend on.
    Empty where no network would remain.

    Args:
        networks: names of networks of the task.
        task: the metric's task.
        dependences: from `find_dependences`.
    """
    matters = [dependence for dependence in dependences if dependence.matters]
    seen_by = {dependence.what: dependence.seen_by for dependence in matters if not dependence.unseen}
    classes = surrogates.networks(task)
    reasons = {}
    for name in networks:
        missed = [what for what, names in seen_by.items() if name not in names]
        needed_for = getattr(classes[name], "NEEDED_FOR", None)
        if missed:
            reasons[name] = f"the metric depends on {' and '.join(missed)}, which it does not see"
        elif needed_for not in (None, *(dependence.what for dependence in matters)):
            reasons[name] = f"the metric does not depend on {needed_for}, which it is built for"
    return reasons if len(reasons) < len(networks) else {}


def refusal(dependences: Sequence[Dependence], task: Task) -> str | None:
    """Why no loss can follow the metric, in words that continue after its name; None if its networks see what matters.

    Args:
        dependences: from `find_dependences`.
        task: the metric's.
    """
    missed = [dependence for dependence in dependences if dependence.missed]
    if not missed:
        return None
    properties = " and ".join(f"{d.what} ({100 * d.changed:.0f} % of the values change)" for d in missed)
    fitted = [dependence.fitted_spearman for dependence in missed if dependence.fitted_spearman is not None]
    reached = f": a short fit ranks at {100 * min(fitted):.0f} there, {100 * ENOUGH:.0f} would do" if fitted else ""
    advice = "".join(f"; {task.advice[d.what]}" for d in missed if d.what in task.advice)
    return f"depends on {properties}, which a loss does not see{reached}{_told_apart(missed)}{advice}"


def _told_apart(missed: Sequence[Dependence]) -> str:
    """Two predictions that a loss cannot tell apart and the metric does, in words; empty if there is no example."""
    example = next((dependence.example for dependence in missed if dependence.example is not None), None)
    if example is None:
        return ""
    one, other = example
    same_target = "the same target" if one.target == other.target else f"target {other.target}"
    return (
        f". For example, it returns {one.returned} for preds {one.preds} and target {one.target}, and "
        f"{other.returned} for preds {other.preds} and {same_target}"
    )


def _points(task: Task, metric: Metric, batches: Sequence[Examples]) -> list[Point]:
    """What the metric is called with, for each point of the batches."""
    set_size = metric_calls.set_size_of(metric)
    return [point for examples in batches for point in metric_calls.points_of(task, metric, examples, set_size)]


def _sees(
    task: Task,
    metric: Metric,
    network: str,
    settings: Mapping[str, Any],
    pairs: Sequence[tuple[Examples, Examples]],
    value_changes: np.ndarray,
) -> bool:
    """Whether the changes of a network's features predict the changes of the metric's values.

    By ridge regression, each point predicted from all others.
    """
    loss: Loss = surrogates.build(task, metric.level, network, **settings)
    size = metric_calls.set_size_of(metric)
    changes = [_features(loss, task, other, size) - _features(loss, task, examples, size) for examples, other in pairs]
    width = max(each.shape[1] for each in changes)  # networks with a feature for each position are padded
    x = torch.cat([F.pad(each, (0, width - each.shape[1])) for each in changes]).double().numpy()
    valid = np.isfinite(value_changes)
    x, y = x[valid] - x[valid].mean(0), value_changes[valid] - value_changes[valid].mean()
    spread = x.std(0)
    x = x[:, spread > MIN_SPREAD] / spread[spread > MIN_SPREAD]
    if not x.shape[1] or not y.any():
        return False
    hat = x @ np.linalg.solve(x.T @ x + RIDGE * len(x) * np.eye(x.shape[1]), x.T)
    residuals = (y - hat @ y) / (1 - np.diag(hat))  # leave-one-out
    return bool(1 - (residuals**2).sum() / (y**2).sum() > SEEN)


def _features(loss: Loss, task: Task, examples: Examples, set_size: int) -> Tensor:
    with torch.no_grad():
        task.configure(loss, examples)
        features = loss.features(*surrogates.loss_arguments(task, examples), set_size)
        n_rows = loss.network.n_rows(set_size)  # of a point; scores do not depend on their order
    return features.view(-1, n_rows, features.shape[1]).mean(1)
