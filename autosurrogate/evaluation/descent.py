"""The descent check: what the metric gains when predictions follow a loss for some distance (after ReLoss, figure 2c).

The predictions move in the process that holds the loss; the labeller runs the metric on them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from autosurrogate.evaluation import point_losses
from autosurrogate.examples import Examples
from autosurrogate.labelling.labeller import Labeller
from autosurrogate.labelling.outcomes import Point
from autosurrogate.points.labelled_set import Chunk
from autosurrogate.points.metric_calls import points_of, set_size_of
from autosurrogate.registry.metric_type import Metric
from autosurrogate.surrogates import Loss
from autosurrogate.tasks import Task

STEPS = 10
TARGET_FRACTION = 0.25  # gain fraction that the regular loss reaches over the distance of the descent check
DISTANCES = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)  # tried in turn to find that distance
BEYOND_NOISE = 2.0  # standard errors by which a gain must be smaller to count as smaller
N_POINTS = {"sample": 256, "set": 64}
MIN_MID_QUALITY = 8  # points; with fewer of mid quality, points of every quality are used


@dataclass(frozen=True)
class DescentPath:
    """Where the descent checks of a run start, and how far they go.

    Args:
        chunks: the points to start from.
        distance: see `descend`.
        strength: median norm of the regular loss's gradient on these points.
    """

    chunks: Sequence[Chunk]
    distance: float
    strength: float

    def descend(self, loss: Loss, weight: float, task: Task, metric: Metric, device: torch.device) -> list[Point]:
        """The points after they followed the regular loss plus a surrogate's loss, as the metric takes them.

        Args:
            loss: from `surrogates.build`; its scale does not matter.
            weight: of the loss; with 1 its gradient is as strong as the regular loss's.
            task: the task.
            metric: the metric; only its declaration is used.
            device: where to compute.
        """
        factor = weight * matching_scale(loss, self.chunks, self.strength, task, device)
        return descend(combined_loss(loss, factor, task), self.chunks, task, metric, device, self.distance)


def matching_scale(loss: Loss, chunks: Sequence[Chunk], strength: float, task: Task, device: torch.device) -> float:
    """The factor that makes the median norm of a loss's gradient equal to `strength`; 0 for a constant loss."""
    norms = point_losses.gradient_norms(point_losses.loss_of_points(loss, task), chunks, task, device)
    median = float(norms.median())
    return strength / median if median > 0 else 0.0


def combined_loss(loss: Loss, factor: float, task: Task) -> point_losses.PointLosses:
    """The regular loss of each point, plus a surrogate's loss times a factor."""
    regular, of_loss = point_losses.regular_of_points(task), point_losses.loss_of_points(loss, task)

    def of_points(examples: Examples, set_size: int) -> Tensor:
        return regular(examples, set_size) + factor * of_loss(examples, set_size)

    return of_points


def mid_quality(chunks: Iterable[Chunk], higher_is_better: bool, n_points: int) -> list[Chunk]:
    """Points neither hopeless nor nearly perfect: the metric between 20 % and 70 % of the range from worst to best.

    Of generated points only those of trained models: a distance that suits these turns all of an untrained one's.

    Args:
        chunks: labelled points.
        higher_is_better: direction of the metric.
        n_points: the most points to return; each chunk gives about the same number.

    Returns:
        Parts of the chunks. Points of every quality where fewer than a tenth, or than `MIN_MID_QUALITY`, are between.
    """
    chunks = list(chunks)
    trained = [chunk.is_trained for chunk in chunks]
    values = torch.cat([chunk.values[of_trained] for chunk, of_trained in zip(chunks, trained, strict=True)])
    worst, best = (values.min(), values.max()) if higher_is_better else (values.max(), values.min())
    between = [
        of_trained & (((chunk.values - worst) / (best - worst) - 0.45).abs() <= 0.25)
        for chunk, of_trained in zip(chunks, trained, strict=True)
    ]
    if sum(int(b.sum()) for b in between) < max(MIN_MID_QUALITY, len(values) / 10):
        between = trained
    parts: list[Chunk] = []
    for i, (chunk, chosen) in enumerate(zip(chunks, between, strict=True)):
        n_of_chunk = (i + 1) * n_points // len(chunks) - i * n_points // len(chunks)
        index = chosen.nonzero().flatten()[:n_of_chunk]
        if len(index):
            parts.append(chunk.select(index))
    return parts


def descend(
    of_points: point_losses.PointLosses,
    chunks: Sequence[Chunk],
    task: Task,
    metric: Metric,
    device: torch.device,
    distance: float,
) -> list[Point]:
    """The points after their predictions moved down a loss's gradient, as the metric takes them.

    The points of a block share one step size, as the examples of a training batch do: a loss with a strong gradient on
    few points and a weak one on all others spends the distance on those few.

    Args:
        of_points: the loss.
        chunks: the points to start from, see `mid_quality`.
        task: the task.
        metric: the metric; only its declaration is used.
        device: where to compute.
        distance: how far a point moves in `STEPS` steps: L2, in the task's unit, root mean square over the points of a
            block, for a set of the declared size. In sets of other sizes each example moves as far.
    """
    points: list[Point] = []
    for chunk in chunks:
        chunk_distance = distance * math.sqrt(chunk.set_size / set_size_of(metric))
        for block in point_losses.blocks(chunk.examples, chunk.set_size):
            examples = descend_examples(of_points, block.to(device), task, chunk.set_size, chunk_distance)
            points += points_of(task, metric, examples, chunk.set_size)
    return points


def improvement(points: Sequence[Point], chunks: Sequence[Chunk], metric: Metric, labeller: Labeller) -> np.ndarray:
    """How much better the metric is on points that moved than on the points of the chunks, where they started.

    Returns:
        For each point, in the metric's unit, positive when better; NaN where the metric fails on the point that moved.
    """
    change: np.ndarray = labeller.label(points).values - np.concatenate([chunk.values.numpy() for chunk in chunks])
    improved: np.ndarray = change if metric.higher_is_better else -change
    return improved


def descent_distance(gain: Callable[[float], float], missing: float) -> float:
    """The distance over which the regular loss gains a quarter of what is missing to the best.

    Over short distances sharp losses gain most, whose gradient vanishes a little further on; over long ones any
    reasonable loss gains everything. What is short depends on the task: a mask has thousands of numbers, a score one.

    Args:
        gain: from a distance to what the metric gains along the regular loss.
        missing: mean difference between the metric of the points before they move and the best, positive.

    Returns:
        The distance, by linear interpolation between 0 and `DISTANCES`. If the regular loss never gains a quarter of
        `missing`: the distance over which it gains a quarter of its largest gain. If it gains nothing: 1.
    """
    tried: list[tuple[float, float]] = [(0.0, 0.0)]
    for distance in DISTANCES:
        tried.append((distance, gain(distance)))
        if tried[-1][1] >= TARGET_FRACTION * missing:
            break
    reached = tried[-1][1] >= TARGET_FRACTION * missing
    target = TARGET_FRACTION * (missing if reached else max(gained for _, gained in tried))
    if target <= 0:
        return 1.0
    for (near, low), (far, high) in pairwise(tried):
        if high >= target:
            return near + (far - near) * (target - low) / (high - low)
    raise AssertionError("the largest gain is a quarter of itself or more")


def descend_examples(
    of_points: point_losses.PointLosses, examples: Examples, task: Task, set_size: int, distance: float
) -> Examples:
    """Examples whose predictions have moved against the gradient of a loss, in `STEPS` steps that all points share.

    Args:
        of_points: the loss of each point.
        examples: n_points * set_size examples, point by point.
        task: the task, whose unit distances are measured in.
        set_size: examples of each point.
        distance: root mean square over the points of how far their predictions move, if the gradient keeps its
            direction.
    """
    preds, unit = examples.preds.float(), task.unit(examples)
    step = distance / STEPS
    for _ in range(STEPS):
        gradient = point_losses.gradient(of_points, examples.with_preds(preds), set_size) * unit
        norm = gradient.reshape(len(examples) // set_size, -1).norm(dim=1).square().mean().sqrt().clamp_min(1e-12)
        preds = preds - step * gradient / norm * unit
    return examples.with_preds(preds)
