"""How many points the losses of a run are evaluated on: as many as the most expensive network has time for.

All losses of a run are evaluated on the same points, so their number is decided before the first trial.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from autosurrogate import surrogates
from autosurrogate._utils.operation_cost import OperationCost
from autosurrogate.evaluation.descent import STEPS
from autosurrogate.evaluation.point_losses import loss_of_points
from autosurrogate.examples import Examples
from autosurrogate.points.labelled_set import Chunk
from autosurrogate.registry.metric_type import Metric
from autosurrogate.surrogates import Loss
from autosurrogate.tasks import Task

MIN_PER_CHUNK = 8  # points that are kept of each chunk, however slow the network
MIN_FOR_DESCENT = 16  # points that are kept for a descent check, however slow the network


@dataclass(frozen=True)
class Costs:
    """Seconds that the most expensive network takes for a point on a reference machine, by set size.

    They are counted, not measured, so that a busy machine evaluates losses on the same points, see `OperationCost`.

    Args:
        forward: for its loss.
        step: for its loss and the gradient.
    """

    forward: Mapping[int, float]
    step: Mapping[int, float]


def count_costs(
    task: Task, metric: Metric, networks: Mapping[str, Mapping[str, Any]], chunks: Sequence[Chunk], device: torch.device
) -> Costs:
    """Count what a point of each set size costs in each network.

    Args:
        task: the task.
        metric: the metric; only its declaration is used.
        networks: network to the settings with which it has the most features.
        chunks: labelled points, some of each set size.
        device: where to compute.
    """
    examples = {chunk.set_size: chunk.examples[slice(0, chunk.set_size)].to(device) for chunk in reversed(chunks)}
    forward, step = dict.fromkeys(examples, 0.0), dict.fromkeys(examples, 0.0)
    for network, settings in networks.items():
        loss = surrogates.build(task, metric.level, network, **settings).to(device)
        for size, point in examples.items():
            forward[size] = max(forward[size], _seconds(loss, task, point, size, gradient=False))
            step[size] = max(step[size], _seconds(loss, task, point, size, gradient=True))
    return Costs(forward, step)


def subsample(chunks: Sequence[Chunk], costs: Costs, seconds: float) -> list[Chunk]:
    """The same fraction of each chunk, as large as `seconds` allow for all, but at least `MIN_PER_CHUNK` points."""
    total_s = sum(len(chunk) * _cost(costs.forward, chunk) for chunk in chunks)
    fraction = min(1.0, seconds / total_s) if total_s > 0 else 1.0
    return [_first(chunk, max(MIN_PER_CHUNK, round(fraction * len(chunk)))) for chunk in chunks]


def subsample_for_descent(
    chunks: Sequence[Chunk], costs: Costs, n_points: int, seconds: float
) -> tuple[list[Chunk], int]:
    """Chunks for a descent check within some seconds, and how many points to take of them.

    Chunks of the largest sets are dropped first.

    Args:
        chunks: to choose from.
        costs: see `count_costs`.
        n_points: the most points, about the same number of each chunk.
        seconds: for all points.
    """
    remaining = list(chunks)

    def seconds_per_point() -> float:
        return STEPS * sum(_cost(costs.step, chunk) for chunk in remaining) / len(remaining)

    while n_points * seconds_per_point() > seconds and len({chunk.set_size for chunk in remaining}) > 1:
        largest = max(chunk.set_size for chunk in remaining)
        remaining = [chunk for chunk in remaining if chunk.set_size < largest]
    n_within = seconds / seconds_per_point() if seconds_per_point() > 0 else n_points
    return remaining, int(min(n_points, max(MIN_FOR_DESCENT, n_within)))


def _cost(seconds: Mapping[int, float], chunk: Chunk) -> float:
    """Seconds for a point of a chunk; the largest of all sizes where the chunk's size was not counted."""
    return seconds.get(chunk.set_size, max(seconds.values()))


def _first(chunk: Chunk, n_points: int) -> Chunk:
    return chunk.select(torch.arange(min(n_points, len(chunk))))


def _seconds(loss: Loss, task: Task, examples: Examples, set_size: int, *, gradient: bool) -> float:
    """What the loss of a point costs, with or without its gradient."""
    with OperationCost() as cost, torch.set_grad_enabled(gradient):
        preds = examples.preds.float().requires_grad_(gradient)
        losses = loss_of_points(loss, task)(examples.with_preds(preds), set_size)
        if gradient:
            torch.autograd.grad(losses.sum(), preds, allow_unused=True)
    return float(cost.seconds)
