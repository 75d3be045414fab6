"""One trial of a search: build, train and calibrate a surrogate, and move the points of the descent check along it.

A trial needs neither the study nor the metric's function, so that it can run in any process.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from autosurrogate import surrogates
from autosurrogate.evaluation.descent import DescentPath
from autosurrogate.labelling.outcomes import Point
from autosurrogate.registry.metric_type import Metric
from autosurrogate.search.network_tables import NetworkTables
from autosurrogate.tasks import Task
from autosurrogate.training.calibration import calibrate
from autosurrogate.training.loop import Settings, held_out_correlation, train
from autosurrogate.training.order import worst_somers_d

N_GROUPS = 8  # of points of similar quality


@dataclass(frozen=True)
class Job:
    """What a trial does.

    Args:
        seed: of everything random in it.
        network: name of the network.
        network_settings: settings of the network.
        settings: of its training.
        thresholds: step to the rank correlation below which the trial is pruned there.
        limit_s: seconds after which training stops.
    """

    seed: int
    network: str
    network_settings: Mapping[str, Any]
    settings: Settings
    thresholds: Mapping[int, float]
    limit_s: float


@dataclass(frozen=True)
class Fitted:
    """The result of a trial that was not pruned.

    Args:
        validation_spearman: rank correlation on validation points.
        similar_quality_spearman: the same within groups of points of similar quality, averaged over the groups.
        worst_somers_d: Somers' D on the kind of validation points that it orders worst, see `worst_somers_d`.
        state: state dict of the loss.
        descended: the points of the descent check after they moved along the loss, as the metric takes them.
    """

    validation_spearman: float
    similar_quality_spearman: float
    worst_somers_d: float
    state: dict[str, Tensor]
    descended: list[Point]


@dataclass(frozen=True)
class Outcome:
    """How a trial ended.

    Args:
        correlations: step to rank correlation on validation points.
        fitted: the result; None if the trial was pruned.
    """

    correlations: dict[int, float]
    fitted: Fitted | None


class _Pruned(Exception):
    """The trial is behind the others."""


@dataclass(frozen=True)
class Runner:
    """Runs trials.

    Args:
        task: the task.
        metric: the metric; only its declaration is used.
        device: where to compute.
        tables: the points as the networks see them.
        descent_path: of the descent check.
    """

    task: Task
    metric: Metric
    device: torch.device
    tables: NetworkTables
    descent_path: DescentPath

    def run(self, job: Job) -> Outcome:
        """Run a trial."""
        deadline = time.monotonic() + job.limit_s
        torch.default_generator.manual_seed(job.seed)  # torch.manual_seed would also set the caller's GPUs
        loss = surrogates.build(self.task, self.metric.level, job.network, **job.network_settings)
        tables = self.tables.of(job.network, loss.network.feature_names())
        correlations: dict[int, float] = {}

        def report(step: int, correlation: float) -> None:
            correlations[step] = correlation
            if max(correlations.values()) < job.thresholds.get(step, -2.0):
                raise _Pruned

        try:
            validation_spearman = train(
                loss.to(self.device),
                tables,
                job.settings,
                higher_is_better=self.metric.higher_is_better,
                seed=job.seed,
                report=report,
                out_of_time=lambda: time.monotonic() >= deadline,
            )
        except _Pruned:
            return Outcome(correlations, None)
        similar_quality_spearman = held_out_correlation(loss, tables, self.metric.higher_is_better, N_GROUPS)
        worst = worst_somers_d(loss, tables, self.metric.higher_is_better)
        calibrate(loss, (*tables.generated, *tables.recorded), self.metric.higher_is_better)
        descended = self.descent_path.descend(loss, 1.0, self.task, self.metric, self.device)
        state = {name: tensor.cpu() for name, tensor in loss.state_dict().items()}
        return Outcome(correlations, Fitted(validation_spearman, similar_quality_spearman, worst, state, descended))
