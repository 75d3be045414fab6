"""The descent check: what the metric gains when predictions follow a loss for some distance (after ReLoss, figure 2c).

The predictions are moved wherever the loss is; only the metric is run by the labeller.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from autosurrogate.evaluation import point_losses
from autosurrogate.examples import Examples
from autosurrogate.labelling.labeller import Labeller
from autosurrogate.labelling.worker import Point
from autosurrogate.points.labelled_set import Chunk
from autosurrogate.points.sampling import points_of, set_size_of
from autosurrogate.registry.metric_type import Metric
from autosurrogate.tasks import Task

STEPS = 10
MENDED = 0.25  # of what separates middling points from the best, by the regular loss: how far the descent check goes
DISTANCES = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)  # that are tried to find out
BEYOND_NOISE = 2.0  # standard errors by which a gain is less, to be called so
N_POINTS = {"sample": 256, "set": 64}
FEWEST = 8  # points of middling quality, that others may be left out for


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


@dataclass(frozen=True)
class Way:
    """Where the descent checks of a run begin, and how far they go.

    Args:
        chunks: the points to start from.
        distance: see `moved`.
        strength: the median norm of the regular loss's gradient there.
    """

    chunks: Sequence[Chunk]
    distance: float
    strength: float

    def along(self, loss: Any, weight: float, task: Task, metric: Metric, device: torch.device) -> list[Point]:
        """What the metric is to be called on when the points follow the regular loss and another together.

        Args:
            loss: the other, from `surrogates.build`, of whatever scale.
            weight: of it; with 1 it is as strong as the regular loss.
            task: the task.
            metric: the metric; only its declaration matters.
            device: where to compute.
        """
        factor = weight * as_strong(loss, self.chunks, self.strength, task, device)
        return moved(both(loss, factor, task), self.chunks, task, metric, device, self.distance)


def as_strong(loss: Any, chunks: Sequence[Chunk], strength: float, task: Task, device: torch.device) -> float:
    """The factor with which the median norm of a loss's gradient is `strength`; 0 for a constant loss."""
    norms = point_losses.gradient_norms(point_losses.loss_of_points(loss, task), chunks, task, device)
    own = float(norms.median())
    return strength / own if own > 0 else 0.0


def both(loss: Any, factor: float, task: Task) -> point_losses.PointLosses:
    """The regular loss of each point and a surrogate's, that with a factor."""
    regular, of_loss = point_losses.regular_of_points(task), point_losses.loss_of_points(loss, task)

    def of_points(examples: Examples, set_size: int) -> Tensor:
        return regular(examples, set_size) + factor * of_loss(examples, set_size)

    return of_points


def middling(chunks: Iterable[Chunk], higher_is_better: bool, n_points: int) -> list[Chunk]:
    """Points neither hopeless nor nearly perfect: the metric between 20 % and 70 % of its way from worst to best.

    Args:
        chunks: labelled points.
        higher_is_better: direction of the metric.
        n_points: at most so many, of all chunks alike.

    Returns:
        Pieces of the chunks; of all points where fewer than a tenth lie in between, or than `FEWEST`.
    """
    chunks = list(chunks)
    values = torch.cat([chunk.values for chunk in chunks])
    worst, best = (values.min(), values.max()) if higher_is_better else (values.max(), values.min())
    between = [((c.values - worst) / (best - worst) - 0.45).abs() <= 0.25 for c in chunks]
    if sum(int(b.sum()) for b in between) < max(FEWEST, len(values) / 10):
        between = [torch.ones_like(b) for b in between]
    found: list[Chunk] = []
    for i, (chunk, chosen) in enumerate(zip(chunks, between, strict=True)):
        share = (i + 1) * n_points // len(chunks) - i * n_points // len(chunks)
        index = chosen.nonzero().flatten()[:share]
        if len(index):
            rows = (index[:, None] * chunk.set_size + torch.arange(chunk.set_size)).flatten()
            found.append(Chunk(chunk.examples[rows], chunk.set_size, chunk.values[index], None))
    return found


def moved(
    of_points: point_losses.PointLosses,
    chunks: Sequence[Chunk],
    task: Task,
    metric: Metric,
    device: torch.device,
    distance: float,
) -> list[Point]:
    """What the metric is to be called on once predictions have moved down a loss's gradient.

    The points of a block share one step size, as the examples of a training do: a loss with a strong gradient on few
    points and a weak one on all others spends the distance on those few.

    Args:
        of_points: the loss.
        chunks: the points to start from, see `middling`.
        task: the task.
        metric: the metric; only its declaration matters.
        device: where to compute.
        distance: length of a point's way (L2, in the task's unit, root mean square over the points that move
            together), in ten steps, for a set of the declared size; the examples of other sets move as far.
    """
    points: list[Point] = []
    for chunk in chunks:
        way = distance * math.sqrt(chunk.set_size / set_size_of(metric))
        for block in point_losses.blocks(chunk.examples, chunk.set_size):
            examples = _descend(of_points, block.to(device), task, chunk.set_size, way)
            points += points_of(task, metric, examples, chunk.set_size)
    return points


def improvement(points: Sequence[Point], chunks: Sequence[Chunk], metric: Metric, labeller: Labeller) -> np.ndarray:
    """How much better the metric is on moved points than it was on those of the chunks.

    Returns:
        Of each point, in the metric's unit, positive when better; NaN for points on which the metric now fails.
    """
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


def _descend(
    of_points: point_losses.PointLosses, examples: Examples, task: Task, set_size: int, distance: float
) -> Examples:
    preds, unit = examples.preds.float(), task.unit(examples)
    step = distance / STEPS
    for _ in range(STEPS):
        gradient = point_losses.gradient(of_points, examples.with_preds(preds), set_size) * unit
        norm = gradient.reshape(len(examples) // set_size, -1).norm(dim=1).square().mean().sqrt().clamp_min(1e-12)
        preds = preds - step * gradient / norm * unit
    return examples.with_preds(preds)
