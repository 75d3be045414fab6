"""What a metric depends on that no network of its task sees.

A network sees which tokens are equal, not how they are spelled; which competitor of the target is strong, not which
class that is. A metric depends on such a property if its values change when only the property changes
(`Task.perturbations`). A network sees the property if its features predict how the values change.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from autosurrogate import surrogates
from autosurrogate.examples import Examples
from autosurrogate.points import metric_calls, sampling
from autosurrogate.rank_correlation.statistics import spearman
from autosurrogate.registry.metric_type import Metric
from autosurrogate.surrogates import Loss
from autosurrogate.tasks import Task

N_BATCHES = 8  # generated; each has its own sizes
POINTS_A_BATCH = 4
N_CALLS = 4 * N_BATCHES * POINTS_A_BATCH  # of the metric, about
ORDER = "the order of the examples"
MIN_CHANGE = 1e-6  # of a value, as a fraction of the range of all values; less is rounding
MIN_CHANGED = 0.05  # fraction of points whose value changes; less may be rounding
SAME_ORDER = 0.9995  # rank correlation above which the order is the same but for rounding
HIGH_CEILING = 0.98  # a ceiling above it says little, since generated predictions are of every quality
SEEN = 0.3  # fraction of the variance of the values' changes that a network's features must explain
JITTER = 1e-4  # by which predictions are moved, relative to their standard deviation
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
    """

    what: str
    changed: float
    agreement: float
    seen_by: tuple[str, ...]

    @property
    def matters(self) -> bool:
        """Whether the metric's order of points depends on the property."""
        return self.changed >= MIN_CHANGED and self.agreement < SAME_ORDER

    @property
    def missed(self) -> bool:
        """Whether the property matters and no network sees it."""
        return self.matters and not self.seen_by

    @property
    def ceiling(self) -> float:
        """About the largest rank correlation of a loss that does not see the property.

        Take a value as the sum of a part that is seen and an independent part that the change redraws. The correlation
        of the values before and after is the seen part's fraction of the variance; that of a value with its seen part
        is the square root.
        """
        return math.sqrt(max(0.0, self.agreement))


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
    batches = list(_generate(task, metric, seed))
    before, again = (
        np.concatenate([_labels(task, metric, examples, label) for examples, _ in batches]) for _ in range(2)
    )
    dependences = []
    for what in batches[0][1]:
        changed = [versions[what] for _, versions in batches]
        after = np.concatenate([_labels(task, metric, examples, label) for examples in changed])
        dependence = Dependence(what, _changed(before, after, again), _agreement(before, after), ())
        if dependence.matters:
            pairs = [(examples, other) for (examples, _), other in zip(batches, changed, strict=True)]
            seen_by = [name for name in networks if _sees(task, metric, name, networks[name], pairs, after - before)]
            dependence = replace(dependence, seen_by=tuple(seen_by))
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


def excluded_networks(networks: Collection[str], task: Task, dependences: Sequence[Dependence]) -> dict[str, str]:
    """Networks that do not suit the metric, and why, in words.

    Such a network does not see a property that the metric depends on, or is built for one that it does not depend on.
    Empty where no network would remain.

    Args:
        networks: names of networks of the task.
        task: the metric's task.
        dependences: from `find_dependences`.
    """
    seen_by = {dependence.what: dependence.seen_by for dependence in dependences if dependence.matters}
    classes = surrogates.networks(task)
    reasons = {}
    for name in networks:
        missed = [what for what, names in seen_by.items() if name not in names]
        needed_for = getattr(classes[name], "NEEDED_FOR", None)
        if missed:
            reasons[name] = f"the metric depends on {' and '.join(missed)}, which it does not see"
        elif needed_for not in (None, *seen_by):
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
    ceiling = min(dependence.ceiling for dependence in missed)
    at_most = f"; its rank correlation could be about {100 * ceiling:.0f} at most" if ceiling < HIGH_CEILING else ""
    advice = "".join(f"; {task.advice[d.what]}" for d in missed if d.what in task.advice)
    return (
        f"depends on {properties}, which a loss does not see and in which generated predictions differ from real "
        f"ones{at_most}{advice}"
    )


def _generate(task: Task, metric: Metric, seed: int) -> Iterator[tuple[Examples, dict[str, Examples]]]:
    """Batches of examples of every quality, each with its changed versions by property."""
    generator = sampling.generator_of(seed, "unseen")  # the name seeds the generator; another would change the points
    apart = sampling.generator_of(seed, "without ties")
    set_size = metric_calls.set_size_of(metric)
    for _ in range(N_BATCHES):
        severity = torch.rand(POINTS_A_BATCH, generator=generator)
        examples = _without_ties(task.generate(severity, generator, set_size, metric.view), apart)
        versions = dict(task.perturbations(examples, generator))
        if metric.level == "set":
            order = torch.cat(
                [i * set_size + torch.randperm(set_size, generator=generator) for i in range(POINTS_A_BATCH)]
            )
            versions[ORDER] = examples[order]
        yield examples, versions


def _without_ties(examples: Examples, generator: torch.Generator) -> Examples:
    """Examples of which no two predictions are exactly equal, as those of trained models are not.

    Which of equal ones comes first would else depend on their order, and so on every change of the order.
    """
    preds = examples.preds
    finite = preds.isfinite()
    if not finite.any():
        return examples
    noise = JITTER * preds[finite].std(correction=0) * torch.randn(preds.shape, generator=generator)
    return examples.with_preds(torch.where(finite, preds + noise.to(preds.dtype), preds))


def _labels(task: Task, metric: Metric, examples: Examples, label: Label) -> np.ndarray:
    return label(metric_calls.points_of(task, metric, examples, metric_calls.set_size_of(metric)))


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
