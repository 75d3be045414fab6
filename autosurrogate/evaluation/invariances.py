"""What a metric depends on that no network of its task sees.

A network sees which token is the same as which, not how it is spelled; which competitor of the target is strong, not
which class that is. Whether a metric minds is found by changing just that (`Task.changes`) and looking whether its
values move; whether a network sees it, by looking whether its features tell how they move.
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
from autosurrogate.points import sampling
from autosurrogate.rank_correlation.statistics import spearman
from autosurrogate.registry.metric_type import Metric
from autosurrogate.tasks import Task

N_BATCHES = 8  # generated, for sizes are drawn for each
POINTS_A_BATCH = 4
N_CALLS = 4 * N_BATCHES * POINTS_A_BATCH  # of the metric, about
ORDER = "the order of the examples"
LEAST_MOVE = 1e-6  # by which a value has moved, in parts of the range of all
LEAST_MOVED = 0.05  # share of points whose values move, below which it may be rounding
SAME_ORDER = 0.9995  # agreement above which it is the same order but for rounding
HIGH_CEILING = 0.98  # above which it says little, for generated predictions are of every quality
SEEN = 0.3  # share of the variance of the values' moves that a network's features explain
RIDGE = 0.1  # of the regression that tells it, by the number of points
LEAST_SPREAD = 1e-4  # of the moves of a feature

Networks = Mapping[str, Mapping[str, Any]]  # network to the settings that give it all its features
Label = Callable[[Sequence[tuple[Any, Any]]], np.ndarray]


@dataclass(frozen=True)
class Dependence:
    """How a metric, and the networks of its task, take a change that leaves the quality as it is.

    Args:
        what: was changed.
        moved: share of the points whose value moved; less those that move without any change, as random ones do.
        agreement: Spearman's correlation, in [-1, 1], of the values before and after.
        seen_by: the networks whose features tell how the values move; empty where the metric does not mind, for then
            none was tried.
    """

    what: str
    moved: float
    agreement: float
    seen_by: tuple[str, ...]

    @property
    def matters(self) -> bool:
        """Whether the metric's order of points depends on it."""
        return self.moved >= LEAST_MOVED and self.agreement < SAME_ORDER

    @property
    def unseen(self) -> bool:
        """Whether it matters and no network sees it."""
        return self.matters and not self.seen_by

    @property
    def ceiling(self) -> float:
        """About the largest rank correlation that a loss reaches which does not see it.

        If a value is one part that is seen and one that is drawn anew by the change, the correlation of two values is
        the share of the seen part in their variance, and that of a value with its seen part the root of it.
        """
        return math.sqrt(max(0.0, self.agreement))


def dependences(task: Task, metric: Metric, networks: Networks, label: Label, seed: int = 0) -> list[Dependence]:
    """What a metric minds, of all that the task's networks might not see.

    Args:
        task: the metric's.
        metric: any.
        networks: those that are asked what they see.
        label: the metric of points, NaN where it has no value.
        seed: of the generated points and of the changes.

    Returns:
        One for each change.
    """
    made = list(_made(task, metric, seed))
    before, again = (np.concatenate([_labels(task, metric, examples, label) for examples, _ in made]) for _ in range(2))
    found = []
    for what in made[0][1]:
        changed = [changes[what] for _, changes in made]
        after = np.concatenate([_labels(task, metric, examples, label) for examples in changed])
        one = Dependence(what, _moved(before, after, again), _agreement(before, after), ())
        if one.matters:
            pairs = [(examples, other) for (examples, _), other in zip(made, changed, strict=True)]
            sees = [name for name in networks if _sees(task, metric, name, networks[name], pairs, after - before)]
            one = replace(one, seen_by=tuple(sees))
        found.append(one)
    return found


def _moved(before: np.ndarray, after: np.ndarray, again: np.ndarray) -> float:
    """The share of values that moved or were lost by a change; less those that did when nothing was changed.

    0 where it is no more than chance has it, for a metric that is random.
    """
    there = np.isfinite(before)
    if not there.any():
        return 0.0
    least = LEAST_MOVE * np.ptp(before[there])
    moved, by_itself = (
        float((~np.isfinite(other[there]) | (np.abs(before - other)[there] > least)).mean()) for other in (after, again)
    )
    chance = 3 * math.sqrt(2 * by_itself * (1 - by_itself) / there.sum())
    return moved - by_itself if moved - by_itself > chance else 0.0


def _agreement(before: np.ndarray, after: np.ndarray) -> float:
    """Spearman's correlation of the values that are there both times; 0 where there is nothing to rank."""
    both = np.isfinite(before) & np.isfinite(after)
    found = float(spearman(before[both], after[both])) if both.sum() > 1 else math.nan
    return 0.0 if math.isnan(found) else found


def left_out(networks: Collection[str], metric: Metric, found: Sequence[Dependence]) -> dict[str, str]:
    """Networks that miss what the metric minds, or that are made for what it does not mind, and why, in words.

    None where no network would be left.

    Args:
        networks: names of networks of the metric's task.
        metric: the metric.
        found: from `dependences`.
    """
    matter = {one.what: one.seen_by for one in found if one.matters}
    known = surrogates.networks(metric.task)
    reasons = {}
    for name in networks:
        missed = [what for what, seen_by in matter.items() if name not in seen_by]
        made_for = getattr(known[name], "NEEDED_FOR", None)
        if missed:
            reasons[name] = f"the metric depends on {' and '.join(missed)}, which it does not see"
        elif made_for not in (None, *matter):
            reasons[name] = f"the metric does not depend on {made_for}, which it is made for"
    return reasons if len(reasons) < len(networks) else {}


def refusal(found: Sequence[Dependence], task: Task) -> str | None:
    """Why a loss for the metric would not do, in words that go on after its name; None if it sees all that matters.

    Args:
        found: from `dependences`.
        task: the metric's.
    """
    unseen = [one for one in found if one.unseen]
    if not unseen:
        return None
    told = " and ".join(f"{one.what} ({100 * one.moved:.0f} % of the values move)" for one in unseen)
    ceiling = min(one.ceiling for one in unseen)
    at_most = f"; it could rank at about {100 * ceiling:.0f} at most" if ceiling < HIGH_CEILING else ""
    remedies = "".join(f"; {task.remedies[one.what]}" for one in unseen if one.what in task.remedies)
    return (
        f"depends on {told}, which a loss does not see, and generated predictions are not like real ones in{at_most}"
        f"{remedies}"
    )


def _made(task: Task, metric: Metric, seed: int) -> Iterator[tuple[Examples, dict[str, Examples]]]:
    """Batches of examples of every quality, and each of them changed."""
    generator = sampling.generator_of(seed, "unseen")
    set_size = sampling.set_size_of(metric)
    for _ in range(N_BATCHES):
        severity = torch.rand(POINTS_A_BATCH, generator=generator)
        examples = task.generate(severity, generator, set_size, metric.view)
        changes = dict(task.changes(examples, generator))
        if metric.level == "set":
            order = torch.cat(
                [i * set_size + torch.randperm(set_size, generator=generator) for i in range(POINTS_A_BATCH)]
            )
            changes[ORDER] = examples[order]
        yield examples, changes


def _labels(task: Task, metric: Metric, examples: Examples, label: Label) -> np.ndarray:
    return label(sampling.points_of(task, metric, examples, sampling.set_size_of(metric)))


def _sees(
    task: Task,
    metric: Metric,
    network: str,
    settings: Mapping[str, Any],
    pairs: Sequence[tuple[Examples, Examples]],
    moves: np.ndarray,
) -> bool:
    """Whether the features of a network, as they move, tell how the values do.

    By a ridge regression of the moves of the values on those of the features, each point predicted by the others.
    """
    loss: Any = surrogates.build(metric.task, metric.level, network, **settings)
    size = sampling.set_size_of(metric)
    moved = [_features(loss, task, other, size) - _features(loss, task, examples, size) for examples, other in pairs]
    width = max(part.shape[1] for part in moved)  # of networks with a feature for each position, filled up
    x = torch.cat([F.pad(part, (0, width - part.shape[1])) for part in moved]).double().numpy()
    there = np.isfinite(moves)
    x, y = x[there] - x[there].mean(0), moves[there] - moves[there].mean()
    spread = x.std(0)
    x = x[:, spread > LEAST_SPREAD] / spread[spread > LEAST_SPREAD]
    if not x.shape[1] or not y.any():
        return False
    hat = x @ np.linalg.solve(x.T @ x + RIDGE * len(x) * np.eye(x.shape[1]), x.T)
    left_out = (y - hat @ y) / (1 - np.diag(hat))
    return bool(1 - (left_out**2).sum() / (y**2).sum() > SEEN)


def _features(loss: Any, task: Task, examples: Examples, set_size: int) -> Tensor:
    with torch.no_grad():
        task.configure(loss, examples)
        found: Tensor = loss.features(*surrogates.arguments(task, examples), set_size)
        rows = loss.network.rows(set_size)  # of a point; no score minds their order
    return found.view(-1, rows, found.shape[1]).mean(1)
