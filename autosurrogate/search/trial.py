"""One trial of a search: a surrogate built, trained, calibrated, and followed by the points of the descent check.

It needs neither the study nor the metric's function, so that it may run in any process.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from autosurrogate import surrogates
from autosurrogate.evaluation.descent import Way
from autosurrogate.labelling.worker import Point
from autosurrogate.registry.metric_type import Metric
from autosurrogate.search.network_tables import NetworkTables
from autosurrogate.tasks import Task
from autosurrogate.training.calibration import calibrate
from autosurrogate.training.loop import Settings, held_out_correlation, train

N_STRETCHES = 8  # of points of much the same quality


@dataclass(frozen=True)
class Job:
    """What a trial is to do.

    Args:
        seed: of everything random in it.
        network: name of the network.
        values: settings of the network.
        settings: of its training.
        least: step to the rank correlation without which the trial is pruned there.
        left_s: seconds after which training ends.
    """

    seed: int
    network: str
    values: Mapping[str, Any]
    settings: Settings
    least: Mapping[int, float]
    left_s: float


@dataclass(frozen=True)
class Fitted:
    """What a trial that was not pruned ended with.

    Args:
        correlation: held-out rank correlation.
        near: the mean over stretches of points of much the same quality.
        state: of the loss.
        moved: the points of the descent check once they have followed it, as the metric takes them.
    """

    correlation: float
    near: float
    state: dict[str, Tensor]
    moved: list[Point]


@dataclass(frozen=True)
class Outcome:
    """What became of a trial.

    Args:
        correlations: step to held-out rank correlation.
        fitted: None if it was pruned.
    """

    correlations: dict[int, float]
    fitted: Fitted | None


class _Pruned(Exception):
    """The trial is hopeless."""


@dataclass(frozen=True)
class Runner:
    """Does trials.

    Args:
        task: the task.
        metric: the metric; only its declaration matters.
        device: where to compute.
        tables: the points.
        way: of the descent check.
    """

    task: Task
    metric: Metric
    device: torch.device
    tables: NetworkTables
    way: Way

    def run(self, job: Job) -> Outcome:
        """Do a trial."""
        until = time.monotonic() + job.left_s
        torch.default_generator.manual_seed(job.seed)  # torch.manual_seed would also set the caller's GPUs
        loss: Any = surrogates.build(self.task.name, self.metric.level, job.network, **job.values)
        tables = self.tables.of(job.network, loss.network.columns())
        correlations: dict[int, float] = {}

        def report(step: int, found: float) -> None:
            correlations[step] = found
            if max(correlations.values()) < job.least.get(step, -2.0):
                raise _Pruned

        try:
            value = train(
                loss.to(self.device),
                tables,
                job.settings,
                higher_is_better=self.metric.higher_is_better,
                seed=job.seed,
                report=report,
                out_of_time=lambda: time.monotonic() >= until,
            )
        except _Pruned:
            return Outcome(correlations, None)
        near = held_out_correlation(loss, tables, self.metric.higher_is_better, N_STRETCHES)
        calibrate(loss, (*tables.generated, *tables.recorded), self.metric.higher_is_better)
        moved = self.way.along(loss, 1.0, self.task, self.metric, self.device)
        state = {name: found.cpu() for name, found in loss.state_dict().items()}
        return Outcome(correlations, Fitted(value, near, state, moved))
