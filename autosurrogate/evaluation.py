"""How good a loss is: rank correlations beside the regular loss's, and the descent check."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from autosurrogate.examples import Examples
from autosurrogate.labelled_set import Chunk
from autosurrogate.labelling import Labeller
from autosurrogate.registry import Metric
from autosurrogate.sampling import points_of, set_size_of
from autosurrogate.statistics import Agreement, agreement, spearman
from autosurrogate.surrogates import arguments
from autosurrogate.tasks import Task

PointLosses = Callable[[Examples, int], Tensor]  # examples and set size to the loss of each point
BLOCK_NUMBERS = 4_000_000  # of predictions worked on at a time
DESCENT_STEPS = 10
MENDED = 0.25  # of what separates middling points from the best, by the regular loss: how far the descent check goes
DISTANCES = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)  # that are tried to find out
DESCENT_POINTS = {"sample": 256, "set": 64}


def loss_of_points(loss: Any, task: Task) -> PointLosses:
    """A surrogate's loss of each point."""

    def of_points(examples: Examples, set_size: int) -> Tensor:
        task.configure(loss, examples)
        found: Tensor = loss.points(*arguments(task, examples), set_size)
        return found

    return of_points


def regular_of_points(task: Task) -> PointLosses:
    """The regular loss of each point: the mean over its examples that have a target."""

    def of_points(examples: Examples, set_size: int) -> Tensor:
        per_example = task.regular_loss(examples).view(-1, set_size)
        kept = task.kept(examples)
        if kept is None:
            return per_example.mean(1)
        weight = torch.as_tensor(kept, device=per_example.device).view(-1, set_size).to(per_example.dtype)
        return (per_example * weight).sum(1) / weight.sum(1).clamp_min(1)

    return of_points


def blocks(examples: Examples, set_size: int) -> Iterator[Examples]:
    """The examples in pieces of whole points that fit in memory."""
    numbers_a_point = max(1, examples.preds[0].numel() * set_size)
    step = max(1, BLOCK_NUMBERS // numbers_a_point) * set_size
    for start in range(0, len(examples), step):
        yield examples[slice(start, start + step)]


def compare(
    of_points: PointLosses, chunks: Sequence[Chunk], higher_is_better: bool, device: torch.device, seed: int = 0
) -> Agreement:
    """Rank correlations of a loss with the metric over all points of the chunks, with their intervals."""
    return agreement(*_losses_and_values(of_points, chunks, device), higher_is_better, seed)


def spearman_on(of_points: PointLosses, chunks: Sequence[Chunk], higher_is_better: bool, device: torch.device) -> float:
    """Spearman's correlation of a loss with the metric over all points of the chunks, positive for agreement.

    NaN where a loss or the metric is constant.
    """
    return spearman(*_losses_and_values(of_points, chunks, device)) * (-1.0 if higher_is_better else 1.0)


def _losses_and_values(
    of_points: PointLosses, chunks: Sequence[Chunk], device: torch.device
) -> tuple[np.ndarray, np.ndarray]:
    found: list[np.ndarray] = []
    with torch.no_grad():
        for chunk in chunks:
            for block in blocks(chunk.examples, chunk.set_size):
                found.append(of_points(block.to(device), chunk.set_size).double().cpu().numpy())
    return np.concatenate(found), np.concatenate([chunk.values.numpy() for chunk in chunks])


def middling(chunks: Iterable[Chunk], higher_is_better: bool, n_points: int) -> list[Chunk]:
    """Points neither hopeless nor nearly perfect: the metric between 20 % and 70 % of its way from worst to best.

    Args:
        chunks: labelled points.
        higher_is_better: direction of the metric.
        n_points: at most so many, of all chunks alike.

    Returns:
        Pieces of the chunks; of all points where fewer than a tenth lie in between.
    """
    chunks = list(chunks)
    values = torch.cat([chunk.values for chunk in chunks])
    worst, best = (values.min(), values.max()) if higher_is_better else (values.max(), values.min())
    between = [((c.values - worst) / (best - worst) - 0.45).abs() <= 0.25 for c in chunks]
    if sum(int(b.sum()) for b in between) < len(values) / 10:
        between = [torch.ones_like(b) for b in between]
    found: list[Chunk] = []
    for i, (chunk, chosen) in enumerate(zip(chunks, between, strict=True)):
        share = (i + 1) * n_points // len(chunks) - i * n_points // len(chunks)
        index = chosen.nonzero().flatten()[:share]
        if len(index):
            rows = (index[:, None] * chunk.set_size + torch.arange(chunk.set_size)).flatten()
            found.append(Chunk(chunk.examples[rows], chunk.set_size, chunk.values[index], None))
    return found


def gradient_norms(of_points: PointLosses, chunks: Iterable[Chunk], task: Task, device: torch.device) -> Tensor:
    """Norms of the points' gradients with respect to their predictions in the task's unit, shape (n_points,)."""
    norms: list[Tensor] = []
    for chunk in chunks:
        for block in blocks(chunk.examples, chunk.set_size):
            examples = block.to(device)
            gradient = _gradient(of_points, examples, chunk.set_size) * task.unit(examples)
            norms.append(gradient.reshape(len(block) // chunk.set_size, -1).norm(dim=1).cpu())
    return torch.cat(norms)


@dataclass(frozen=True)
class Descent:
    """What the metric gains when predictions follow a loss for some distance (after ReLoss, figure 2c), see `reach`.

    Args:
        gain: mean improvement of the metric, positive when better, in the metric's unit, along the regular loss and
            the loss together.
        gain_error: standard error of the mean difference from the regular loss's, point by point.
        regular_gain: the regular loss's, over the same distance on the same points.
        weight: of the loss: that with which the gain on validation points is largest.
        distance: L2 distance that each point's predictions moved, in the task's unit; a set's of the declared size.
        n_points: number of points.
    """

    gain: float
    gain_error: float
    regular_gain: float
    weight: float
    distance: float
    n_points: int


def gains(
    of_points: PointLosses,
    chunks: Sequence[Chunk],
    task: Task,
    metric: Metric,
    labeller: Labeller,
    device: torch.device,
    distance: float,
) -> np.ndarray:
    """Improvement of the metric when predictions move down the loss's gradient.

    The points of a block share one step size, as the examples of a training do: a loss with a strong gradient on few
    points and a weak one on all others spends the distance on those few.

    Args:
        of_points: the loss.
        chunks: the points to start from, see `middling`.
        task: the task.
        metric: the metric.
        labeller: runs the metric.
        device: where to compute.
        distance: length of a point's way (L2, in the task's unit, root mean square over the points that move
            together), in ten steps, for a set of the declared size; the examples of other sets move as far.

    Returns:
        Of each point, in the metric's unit, positive when better; NaN for points on which the metric then fails.
    """
    points: list[tuple[Any, Any]] = []
    for chunk in chunks:
        way = distance * math.sqrt(chunk.set_size / set_size_of(metric))
        for block in blocks(chunk.examples, chunk.set_size):
            moved = _descend(of_points, block.to(device), task, chunk.set_size, way)
            points += points_of(task, metric, moved, chunk.set_size)
    change: np.ndarray = labeller.label(points).values - np.concatenate([chunk.values.numpy() for chunk in chunks])
    improved: np.ndarray = change if metric.higher_is_better else -change
    return improved


def reach(gain: Callable[[float], float], missing: float) -> float:
    """The distance over which the regular loss mends a quarter of what is wrong.

    Over short distances sharp losses gain most, whose gradient is gone a little further on; over long ones any loss
    that is sane mends everything. What is short depends on the task: a mask has thousands of numbers, a score one.

    Args:
        gain: distance to the metric gained along the regular loss.
        missing: mean difference between the metric of the points that are moved and the best, positive.

    Returns:
        The distance, by linear interpolation between 0 and `DISTANCES`; where the regular loss never mends as much,
        over which it gains a quarter of the most that it gains; where it gains nothing, 1.
    """
    tried: list[tuple[float, float]] = [(0.0, 0.0)]
    for distance in DISTANCES:
        tried.append((distance, gain(distance)))
        if tried[-1][1] >= MENDED * missing:
            break
    wanted = MENDED * missing if tried[-1][1] >= MENDED * missing else MENDED * max(gained for _, gained in tried)
    if wanted <= 0:
        return 1.0
    for (near, low), (far, high) in pairwise(tried):
        if high >= wanted:
            return near + (far - near) * (wanted - low) / (high - low)
    raise AssertionError("the largest gain is a quarter of itself or more")


def _descend(of_points: PointLosses, examples: Examples, task: Task, set_size: int, distance: float) -> Examples:
    preds, unit = examples.preds.float(), task.unit(examples)
    step = distance / DESCENT_STEPS
    for _ in range(DESCENT_STEPS):
        gradient = _gradient(of_points, examples.with_preds(preds), set_size) * unit
        norm = gradient.reshape(len(examples) // set_size, -1).norm(dim=1).square().mean().sqrt().clamp_min(1e-12)
        preds = preds - step * gradient / norm * unit
    return examples.with_preds(preds)


def _gradient(of_points: PointLosses, examples: Examples, set_size: int) -> Tensor:
    preds = examples.preds.float().detach().requires_grad_(True)
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad(of_points(examples.with_preds(preds), set_size).sum(), preds)
    return gradient
