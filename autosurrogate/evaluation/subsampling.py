"""How many points there is time to judge losses on, by what the slowest network takes for one.

Every loss of a run is judged on the same points, so how many is settled before the first.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from autosurrogate import surrogates
from autosurrogate.evaluation.descent import STEPS
from autosurrogate.evaluation.point_losses import loss_of_points
from autosurrogate.examples import Examples
from autosurrogate.points.labelled_set import Chunk
from autosurrogate.registry.metric_type import Metric
from autosurrogate.tasks import Task

LEAST_OF_CHUNK = 8  # points that are kept of each chunk
LEAST = 16  # points that are kept for a descent check
MOST_TIMES, ENOUGH_S = 5, 0.1  # that a point is timed, and the seconds after which it is enough


@dataclass(frozen=True)
class Costs:
    """Seconds that the slowest network takes for a point, by its set size.

    Args:
        forward: without a gradient.
        step: with one.
    """

    forward: Mapping[int, float]
    step: Mapping[int, float]


def measure(
    task: Task, metric: Metric, networks: Mapping[str, Mapping[str, Any]], chunks: Sequence[Chunk], device: torch.device
) -> Costs:
    """Time a point of each set size in each network.

    Args:
        task: the task.
        metric: the metric; only its declaration matters.
        networks: network to the settings that give it all features that it may have.
        chunks: labelled points, some of each set size.
        device: where to compute.
    """
    examples = {chunk.set_size: chunk.examples[slice(0, chunk.set_size)].to(device) for chunk in reversed(chunks)}
    forward, step = dict.fromkeys(examples, 0.0), dict.fromkeys(examples, 0.0)
    for network, settings in networks.items():
        loss = surrogates.build(task.name, metric.level, network, **settings).to(device)
        least = min(examples)
        _seconds(loss, task, examples[least], least, device, gradient=True)  # loads what is loaded once
        for size, point in examples.items():
            forward[size] = max(forward[size], _seconds(loss, task, point, size, device, gradient=False))
            step[size] = max(step[size], _seconds(loss, task, point, size, device, gradient=True))
    return Costs(forward, step)


def thinned(chunks: Sequence[Chunk], costs: Costs, seconds: float) -> list[Chunk]:
    """As large a part of each chunk as can be judged within some seconds altogether, and a few points at least."""
    whole = sum(len(chunk) * _cost(costs.forward, chunk) for chunk in chunks)
    share = min(1.0, seconds / whole) if whole > 0 else 1.0
    return [_first(chunk, max(LEAST_OF_CHUNK, round(share * len(chunk)))) for chunk in chunks]


def for_descent(chunks: Sequence[Chunk], costs: Costs, n_points: int, seconds: float) -> tuple[list[Chunk], int]:
    """Chunks whose points can follow a loss within some seconds, the largest sets left out first; and how many points.

    Args:
        chunks: to choose from.
        costs: see `measure`.
        n_points: that are wanted, of all chunks alike.
        seconds: for all of them.
    """
    kept = list(chunks)

    def each() -> float:
        return STEPS * sum(_cost(costs.step, chunk) for chunk in kept) / len(kept)

    while n_points * each() > seconds and len({chunk.set_size for chunk in kept}) > 1:
        largest = max(chunk.set_size for chunk in kept)
        kept = [chunk for chunk in kept if chunk.set_size < largest]
    fits = seconds / each() if each() > 0 else n_points
    return kept, int(min(n_points, max(LEAST, fits)))


def _cost(seconds: Mapping[int, float], chunk: Chunk) -> float:
    """Of a point of a chunk; that of the dearest for sets of a size that was not measured."""
    return seconds.get(chunk.set_size, max(seconds.values()))


def _first(chunk: Chunk, n_points: int) -> Chunk:
    severity = None if chunk.severity is None else chunk.severity[:n_points]
    return Chunk(chunk.examples[slice(0, n_points * chunk.set_size)], chunk.set_size, chunk.values[:n_points], severity)


def _seconds(
    loss: torch.nn.Module, task: Task, examples: Examples, set_size: int, device: torch.device, *, gradient: bool
) -> float:
    """The least of several times: where a machine does something else as well, one alone may be ten times as long."""
    found, spent = math.inf, 0.0
    for _ in range(MOST_TIMES):
        seconds = _once(loss, task, examples, set_size, device, gradient=gradient)
        found, spent = min(found, seconds), spent + seconds
        if spent > ENOUGH_S:
            break
    return found


def _once(
    loss: torch.nn.Module, task: Task, examples: Examples, set_size: int, device: torch.device, *, gradient: bool
) -> float:
    began = time.perf_counter()
    with torch.set_grad_enabled(gradient):
        preds = examples.preds.float().requires_grad_(gradient)
        found = loss_of_points(loss, task)(examples.with_preds(preds), set_size)
        if gradient:
            torch.autograd.grad(found.sum(), preds, allow_unused=True)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - began
