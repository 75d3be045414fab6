"""Labelled points of classifiers, generated without a run, and losses to evaluate on them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from autosurrogate import tasks
from autosurrogate.evaluation import point_losses
from autosurrogate.examples import Examples
from autosurrogate.points.labelled_set import Chunk
from autosurrogate.points.metric_calls import points_of
from autosurrogate.registry.lookup import find
from autosurrogate.registry.metric_type import Metric

CPU = torch.device("cpu")
TASK = tasks.get("classification")
ACCURACY = find("accuracy")


class HereLabeller:
    """Runs a metric in this process."""

    def __init__(self, metric: Metric, *, fails: bool = False) -> None:
        self._metric, self._fails = metric, fails

    def label(self, points: list[tuple[Any, Any]]) -> Any:
        values = np.array([np.nan if self._fails else self._metric.function(*point) for point in points])
        return SimpleNamespace(values=values)


def labelled(seed: int, n_points: int = 12, set_size: int = 32, metric: Metric = ACCURACY) -> Chunk:
    generator = torch.Generator().manual_seed(seed)
    task = tasks.get(metric.task)
    examples = task.generate(torch.linspace(0.1, 0.9, n_points), generator, set_size)
    values = [metric.function(*point) for point in points_of(task, metric, examples, set_size)]
    return Chunk(examples, set_size, torch.tensor(values, dtype=torch.float64), None)


def of_values(values: list[float], set_size: int = 2) -> Chunk:
    """Points that differ in their predictions."""
    preds = torch.arange(float(len(values) * set_size))[:, None].expand(-1, 3)
    examples = Examples(preds, torch.zeros(len(preds), dtype=torch.long))
    return Chunk(examples, set_size, torch.tensor(values, dtype=torch.float64), None)


def target_probability(sign: float) -> point_losses.PointLosses:
    def of_points(examples: Examples, set_size: int) -> Tensor:
        probability = examples.preds.softmax(1).gather(1, examples.target[:, None]).squeeze(1)
        return sign * probability.view(-1, set_size).mean(1)

    return of_points
