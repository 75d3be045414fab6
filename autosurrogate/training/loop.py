"""Fitting one surrogate to labelled points (ReLoss, algorithm 1)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import torch
from torch import Tensor

from autosurrogate.rank_correlation.statistics import spearman
from autosurrogate.training.feature_table import FeatureTable
from autosurrogate.training.gradients import Gradients, Objective, score
from autosurrogate.training.objective import hard_rank

EVALUATE_EVERY = 20  # steps
LEAST_GAIN = 0.05  # of what a correlation lacks to 1: less is no rise
WARM_UP = 0.1001  # share of the steps in which the learning rate rises; at 0.1 ten steps would divide by zero


@dataclass(frozen=True)
class Settings:
    """How a surrogate is trained.

    Args:
        n_steps: steps of the optimiser.
        batch_points: points a step.
        learning_rate: largest learning rate of a one-cycle schedule.
        weight_decay: of AdamW.
        penalty: weight of the gradient penalty (λ; 10 in the paper).
        window: share of the points, by the metric, from which a batch is drawn: 1 for all; less for batches of points
            of much the same quality, which are harder to tell apart, as the outputs of one model are.
        soft_rank: "pairwise" or "diffsort".
        steepness: of the soft ranks, per standard deviation of the losses.
        objective: "correlation" (eq. 6) or "approximation" (eq. 5).
        random_share: probability that a batch comes from the random generator, where there are recorded outputs.
    """

    n_steps: int
    batch_points: int
    learning_rate: float
    weight_decay: float
    penalty: float
    window: float = 1.0
    patience: float = 1 / 6
    soft_rank: str = "pairwise"
    steepness: float = 8.0
    objective: Literal["correlation", "approximation"] = "correlation"
    random_share: float = 1.0


@dataclass(frozen=True)
class Tables:
    """The points a surrogate is trained on and those it is judged on, from G_R and, where there are any, G_M.

    Those it is trained on have Gram matrices. Each is from `tabulate`: a table for each number of rows a point.
    """

    generated: Sequence[FeatureTable]
    held_out: Sequence[FeatureTable]
    recorded: Sequence[FeatureTable] = ()
    recorded_held_out: Sequence[FeatureTable] = ()


def losses(loss: Any, tables: Sequence[FeatureTable]) -> Tensor:
    """The loss of each point of the tables, one table after the other, shape (n_points,)."""
    return torch.cat([score(loss, table.features) for table in tables])


def rank_correlation(loss: Any, tables: Sequence[FeatureTable], higher_is_better: bool, n_stretches: int = 1) -> float:
    """Spearman's correlation on all points, tie-averaged; positive where a lower loss means a better metric.

    Args:
        loss: from `surrogates.build`.
        tables: as its network sees the points.
        higher_is_better: direction of the metric.
        n_stretches: the points are cut into so many stretches by their metric; the mean over these is returned.

    Returns:
        In [-1, 1]; a loss or metric that is constant on a stretch counts as 0 there.
    """
    with torch.no_grad():
        found = losses(loss, tables).double().cpu().numpy()
    values = torch.cat([table.values for table in tables]).cpu().numpy()
    stretches = np.array_split(np.argsort(values, kind="stable"), n_stretches)
    each = [spearman(found[rows], values[rows]) for rows in stretches]
    return float(np.nan_to_num(each).mean()) * (-1.0 if higher_is_better else 1.0)


def held_out_correlation(loss: Any, tables: Tables, higher_is_better: bool, n_stretches: int = 1) -> float:
    """What checkpoints and trials are chosen by: the mean over generated and recorded held-out points."""
    found = rank_correlation(loss, tables.held_out, higher_is_better, n_stretches)
    if not tables.recorded_held_out:
        return found
    return (found + rank_correlation(loss, tables.recorded_held_out, higher_is_better, n_stretches)) / 2


def train(
    loss: Any,
    tables: Tables,
    settings: Settings,
    *,
    higher_is_better: bool,
    seed: int,
    report: Callable[[int, float], None] = lambda step, correlation: None,
    out_of_time: Callable[[], bool] = lambda: False,
    graphs: bool = True,
) -> float:
    """Train `loss` in place; it is left at its best checkpoint by rank correlation on held-out points.

    Args:
        loss: from `surrogates.build`.
        tables: as the network of `loss` sees the points.
        settings: see `Settings`.
        higher_is_better: direction of the metric.
        seed: of the order of the points.
        report: called with the step and the held-out correlation at each checkpoint; what it raises ends training.
        out_of_time: asked after each checkpoint; training stops there when true.
        graphs: whether steps on a GPU are captured in a CUDA graph and replayed.

    Returns:
        The best held-out rank correlation, see `held_out_correlation`.
    """
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW(
        loss.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, settings.learning_rate, total_steps=settings.n_steps + 1, pct_start=WARM_UP
    )
    gradients = Gradients(
        loss,
        Objective(settings.objective, settings.soft_rank, settings.steepness, settings.penalty),
        graphs=graphs,
    )
    generated = [_Ordered.of(table, higher_is_better) for table in tables.generated]
    recorded = [_Ordered.of(table, higher_is_better) for table in tables.recorded]
    best, kept = -2.0, copy.deepcopy(loss.state_dict())
    risen, rose_at = -2.0, 0
    for step in range(1, settings.n_steps + 1):
        source = generated
        if recorded and torch.rand((), generator=generator).item() >= settings.random_share:
            source = recorded
        chosen = _one_of(source, generator)
        index = _draw(chosen.order, settings, generator)
        badness = chosen.badness[index]
        approximated = settings.objective == "approximation"
        gradients.put(chosen.table, index, badness.float() if approximated else hard_rank(badness))
        optimiser.step()
        schedule.step()
        if step % EVALUATE_EVERY == 0 or step == settings.n_steps:
            found = held_out_correlation(loss, tables, higher_is_better)
            if found < 0:  # a network nearly linear in a feature would not turn: its ranks do not change with its slope
                loss.sign.neg_()
                found = -found
            if found > best:
                best, kept = found, copy.deepcopy(loss.state_dict())
            report(step, found)
            if found > risen + LEAST_GAIN * (1 - risen):
                risen, rose_at = found, step
            if step - rose_at >= settings.patience * settings.n_steps or out_of_time():
                break
    loss.load_state_dict(kept)
    return best


@dataclass(frozen=True)
class _Ordered:
    """A table with its points' badness, shape (n_points,), and their numbers in the order of the metric."""

    table: FeatureTable
    badness: Tensor
    order: Tensor

    @classmethod
    def of(cls, table: FeatureTable, higher_is_better: bool) -> Self:
        return cls(table, _badness(table, higher_is_better), table.values.cpu().argsort())


def _one_of(tables: Sequence[_Ordered], generator: torch.Generator) -> _Ordered:
    """One of the tables, each as often as it has points."""
    if len(tables) == 1:
        return tables[0]
    n_points = torch.tensor([float(len(t.table)) for t in tables])
    return tables[int(torch.multinomial(n_points, 1, generator=generator))]


def _draw(order: Tensor, settings: Settings, generator: torch.Generator) -> Tensor:
    """Numbers of the points of a batch, from a random stretch of the points in the order of the metric."""
    length = min(len(order), max(settings.batch_points, round(settings.window * len(order))))
    half = length // 2  # stretches may begin beyond the ends, or the best and worst points would seldom be drawn
    start = int(torch.randint(-half, len(order) - length + half + 1, (), generator=generator))
    start = min(max(start, 0), len(order) - length)
    return order[start + torch.randperm(length, generator=generator)[: settings.batch_points]]


def _badness(table: FeatureTable, higher_is_better: bool) -> Tensor:
    """The metric scaled to [0, 1], 0 the best value of the table, shape (n_points,), float64, on a CPU."""
    values = table.values.cpu()
    low, high = values.min(), values.max()
    scaled = (values - low) / (high - low).clamp_min(1e-12)
    return 1 - scaled if higher_is_better else scaled
