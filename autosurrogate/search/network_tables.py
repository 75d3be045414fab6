"""Feature tables: the labelled points of a run as each network of its search space sees them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch

from autosurrogate import surrogates
from autosurrogate._utils.files import atomic_write
from autosurrogate.points import metric_calls
from autosurrogate.points.labelled_points import Points
from autosurrogate.points.labelled_set import Chunk
from autosurrogate.registry.metric_type import Metric
from autosurrogate.search.space import Space
from autosurrogate.surrogates import Loss
from autosurrogate.tasks import Task
from autosurrogate.training.feature_table import FeatureTable, tabulate
from autosurrogate.training.loop import Tables


class NetworkTables:
    """Feature tables of the networks of a search space, each computed when it is first needed.

    Args:
        task: the task.
        metric: the metric; only its declaration is used.
        space: whose networks they are.
        points: labelled chunks.
        device: where to compute and keep the tables.
        within_s: seconds of a reference machine after which each network's table takes no further points.
        folder: of the tables' files, which several processes share; None keeps the tables in memory.
    """

    def __init__(
        self,
        task: Task,
        metric: Metric,
        space: Space,
        points: Points,
        device: torch.device,
        within_s: Mapping[str, float],
        folder: Path | None = None,
    ) -> None:
        self._task, self._metric, self._space, self._points = task, metric, space, points
        self._device, self._within_s, self._folder = device, within_s, folder
        self._tables: dict[str, Tables] = {}

    def of(self, network: str, feature_names: Sequence[str]) -> Tables:
        """The points as a network with these features sees them; all settings of a network share one table."""
        if network not in self._tables:
            self._tables[network] = self._compute(network) if self._folder is None else self._shared(network)
        all_features = self._tables[network]
        return Tables(
            *([t.select(feature_names) for t in getattr(all_features, field.name)] for field in fields(all_features))
        )

    def _shared(self, network: str) -> Tables:
        assert self._folder is not None, "shared tables are files in a folder"
        file = self._folder / f"{network}.pt"
        if not file.exists():
            tables = self._compute(network)
            try:
                with atomic_write(file, writer=str(os.getpid())) as temporary:
                    torch.save(_plain(tables), temporary)
            except (OSError, RuntimeError):  # the disk is full: each process then computes and keeps its own
                return tables
        return _read(file, self._device)

    def _compute(self, network: str) -> Tables:
        widest, *parts = with_all_features(self._task, self._metric, self._space, network, self._device)
        points = self._points

        def for_training(chunks: list[Chunk]) -> tuple[FeatureTable, ...]:
            size = metric_calls.set_size_of(self._metric)
            return tabulate(
                widest, self._task, chunks, self._device, parts=parts, of_size=size, within_s=self._within_s[network]
            )  # fmt: skip

        def for_evaluation(chunks: list[Chunk]) -> tuple[FeatureTable, ...]:  # the same points for every network
            return tabulate(widest, self._task, chunks, self._device, gram=False)

        return Tables(
            for_training(points.train),
            for_evaluation(points.validation),
            for_training(points.recorded_train),
            for_evaluation(points.recorded_validation),
        )


def with_all_features(task: Task, metric: Metric, space: Space, network: str, device: torch.device) -> list[Loss]:
    """A loss with every feature that a trial may have; then losses that have these features together, if any do."""
    settings = [space.widest(task, network), *space.feature_parts(task, network)]
    widest, *parts = (surrogates.build(task, metric.level, network, **each).to(device) for each in settings)
    names = {name for loss in parts for name in loss.network.feature_names()}
    return [widest, *parts] if names >= set(widest.network.feature_names()) else [widest]


def _plain(tables: Tables) -> dict[str, list[dict[str, Any]]]:
    """Tables as plain values, for a file."""
    return {
        name: [
            {
                "features": table.features.cpu(),
                "gram": None if table.gram is None else table.gram.cpu(),
                "values": table.values.cpu(),
                "feature_names": table.feature_names,
                "is_trained": None if table.is_trained is None else table.is_trained.cpu(),
            }
            for table in group
        ]
        for name, group in vars(tables).items()
    }


def _read(file: Path, device: torch.device) -> Tables:
    """Tables from a file. On a CPU they are mapped into memory, so that all processes share one copy."""
    content = torch.load(file, mmap=True, weights_only=True)
    return Tables(
        **{name: [_to_device(FeatureTable(**table), device) for table in group] for name, group in content.items()}
    )


def _to_device(table: FeatureTable, device: torch.device) -> FeatureTable:
    gram = None if table.gram is None else table.gram.to(device)
    is_trained = None if table.is_trained is None else table.is_trained.to(device)
    return FeatureTable(table.features.to(device), gram, table.values.to(device), table.feature_names, is_trained)
