"""What a fit starts from, all of it checked before anything runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from autosurrogate import outputs, tasks
from autosurrogate._utils.devices import device_of
from autosurrogate.examples import Examples
from autosurrogate.points.recorded_splits import split_recorded
from autosurrogate.registry.metric_type import Metric
from autosurrogate.run.options import Options
from autosurrogate.search import search_space
from autosurrogate.search.space import Space
from autosurrogate.tasks import Task


@dataclass(frozen=True)
class FitInputs:
    """What a fit starts from.

    Args:
        metric: the metric.
        options: the run's options.
        task: the metric's task.
        device: where to train.
        space: the search space.
        recorded: the recorded outputs of each file, by split.
    """

    metric: Metric
    options: Options
    task: Task
    device: torch.device
    space: Space
    recorded: list[dict[str, Examples]]


def prepare(metric: Metric, options: Options, space: str | Path | None) -> FitInputs:
    """Read and check what a fit starts from.

    Args:
        metric: the metric.
        options: the run's options.
        space: file of the search space; the task's own if None.

    Raises:
        OptionError, OutputsError, SpaceError: an option or a file cannot be used.
    """
    task = tasks.get(metric.task)
    device, search_choices = device_of(options.device), search_space.load(task, space)
    recorded = [outputs.read(file, task) for file in options.outputs]
    if metric.level == "sample":
        recorded = [each.with_target(task) for each in recorded]
    return FitInputs(metric, options, task, device, search_choices, split_recorded(recorded, metric, options.seed))
