"""Fitting one surrogate to labelled points (ReLoss, algorithm 1)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from autosurrogate.rank_correlation.statistics import spearman
from autosurrogate.surrogates import Loss
from autosurrogate.training.batches import OrderedTable, draw_batch, draw_table
from autosurrogate.training.feature_table import FeatureTable
from autosurrogate.training.gradients import Gradients, Objective, score
from autosurrogate.training.objective import hard_rank

EVALUATE_EVERY = 20  # steps
MIN_GAIN = 0.05  # of what a correlation lacks to 1: less does not count as a rise
WARM_UP = 0.1001  # fraction of the steps in which the learning rate rises; at 0.1 ten steps would divide by zero


@dataclass(frozen=True)
class Settings:
    """How a surrogate is trained.

    Args:
        n_steps: steps of the optimiser.
        batch_points: points a step.
        learning_rate: largest learning rate of a one-cycle schedule.
        weight_decay: of AdamW.
        penalty: weight of the gradient penalty (λ; 10 in the paper).
        window: fraction of the points, in the order of the metric, from which a batch is drawn: 1 for all; less for
            batches of points of similar quality, which are harder to rank, as the outputs of one model are.
        patience: fraction of the steps after which training ends if the rank correlation on held-out points has not
            risen meanwhile; 1 for never.
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
    """The points a surrogate is trained on and the held-out ones, from G_R and, where there are any, G_M.

    Those it is trained on have Gram matrices. Each is from `tabulate`: a table for each number of rows a point.
    """

    generated: Sequence[FeatureTable]
    held_out: Sequence[FeatureTable]
    recorded: Sequence[FeatureTable] = ()
    recorded_held_out: Sequence[FeatureTable] = ()


def losses(loss: Loss, tables: Sequence[FeatureTable]) -> Tensor:
    """The loss of each point of the tables, one table after the other, shape (n_points,)."""
    return torch.cat([score(loss, table.features) for table in tables])


def rank_correlation(loss: Loss, tables: Sequence[FeatureTable], higher_is_better: bool, n_strata: int = 1) -> float:
    """Spearman's correlation on all points, tie-averaged; positive where a lower loss means a better metric.

    Args:
        loss: from `surrogates.build`.
        tables: as its network sees the points.
        higher_is_better: direction of the metric.
        n_strata: the points are divided into so many groups by their metric; the mean over the groups is returned.

    Returns:
        In [-1, 1]; a loss or metric that is constant in a group counts as 0 there.
    """
    with torch.no_grad():
        loss_values = losses(loss, tables).double().cpu().numpy()
    values = torch.cat([table.values for table in tables]).cpu().numpy()
    strata = np.array_split(np.argsort(values, kind="stable"), n_strata)
    correlations = [spearman(loss_values[index], values[index]) for index in strata]
    return float(np.nan_to_num(correlations).mean()) * (-1.0 if higher_is_better else 1.0)


def held_out_correlation(loss: Loss, tables: Tables, higher_is_better: bool, n_strata: int = 1) -> float:
    """What checkpoints and trials are selected by: the mean over generated and recorded held-out points."""
    generated = rank_correlation(loss, tables.held_out, higher_is_better, n_strata)
    if not tables.recorded_held_out:
        return generated
    return (generated + rank_correlation(loss, tables.recorded_held_out, higher_is_better, n_strata)) / 2


def train(
    loss: Loss,
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
        report: called with the step and the held-out correlation at each checkpoint; its exceptions end training.
        out_of_time: called after each checkpoint; training ends there when it returns true.
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
    generated = [OrderedTable.of(table, higher_is_better) for table in tables.generated]
    recorded = [OrderedTable.of(table, higher_is_better) for table in tables.recorded]
    best, best_state = -2.0, copy.deepcopy(loss.state_dict())
    last_rise, rose_at = -2.0, 0
    for step in range(1, settings.n_steps + 1):
        source = generated
        if recorded and torch.rand((), generator=generator).item() >= settings.random_share:
            source = recorded
        ordered = draw_table(source, generator)
        index = draw_batch(ordered.order, settings.batch_points, settings.window, generator)
        badness = ordered.badness[index]
        target = badness.float() if settings.objective == "approximation" else hard_rank(badness)
        gradients.compute(ordered.table, index, target)
        optimiser.step()
        schedule.step()
        if step % EVALUATE_EVERY == 0 or step == settings.n_steps:
            correlation = held_out_correlation(loss, tables, higher_is_better)
            if correlation < 0:  # training would not turn a network nearly linear in a feature: ranks ignore its slope
                loss.sign.neg_()
                correlation = -correlation
            if correlation > best:
                best, best_state = correlation, copy.deepcopy(loss.state_dict())
            report(step, correlation)
            if correlation > last_rise + MIN_GAIN * (1 - last_rise):
                last_rise, rose_at = correlation, step
            if step - rose_at >= settings.patience * settings.n_steps or out_of_time():
                break
    loss.load_state_dict(best_state)
    return best
