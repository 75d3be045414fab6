"""The labelled points of a run as each network of its search space sees them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch

from autosurrogate import surrogates
from autosurrogate._utils.files import atomic_write
from autosurrogate.points import sampling
from autosurrogate.points.labelled_points import Points
from autosurrogate.points.labelled_set import Chunk
from autosurrogate.registry.metric_type import Metric
from autosurrogate.search.search_space import Space
from autosurrogate.tasks import Task
from autosurrogate.training.feature_table import FeatureTable, tabulate
from autosurrogate.training.loop import Tables


class NetworkTables:
    """Tables of the networks of a search space, each made when it is first asked for.

    Args:
        task: the task.
        metric: the metric; only its declaration matters.
        space: whose networks they are.
        points: labelled chunks.
        device: where to compute and keep the tables.
        within_s: seconds after which a network's table takes no further points.
        folder: where tables are kept that several processes share; in memory if None.
    """

    def __init__(
        self,
        task: Task,
        metric: Metric,
        space: Space,
        points: Points,
        device: torch.device,
        within_s: float,
        folder: Path | None = None,
    ) -> None:
        self._task, self._metric, self._space, self._points = task, metric, space, points
        self._device, self._within_s, self._folder = device, within_s, folder
        self._tables: dict[str, Tables] = {}

    def of(self, network: str, feature_names: Sequence[str]) -> Tables:
        """The points as a network of these features sees them; one table serves all its settings."""
        if network not in self._tables:
            self._tables[network] = self._made(network) if self._folder is None else self._shared(network)
        whole = self._tables[network]
        return Tables(*([t.select(feature_names) for t in getattr(whole, field.name)] for field in fields(whole)))

    def _shared(self, network: str) -> Tables:
        assert self._folder is not None, "shared tables are kept in a folder"
        file = self._folder / f"{network}.pt"
        if not file.exists():
            tables = self._made(network)
            try:
                with atomic_write(file, writer=str(os.getpid())) as temporary:
                    torch.save(_plain(tables), temporary)
            except (OSError, RuntimeError):  # the disk is full: each process then computes and keeps its own
                return tables
        return _read(file, self._device)

    def _made(self, network: str) -> Tables:
        wide, *parts = self._with_all_features(network)
        points = self._points

        def trained(chunks: list[Chunk]) -> tuple[FeatureTable, ...]:
            size = sampling.set_size_of(self._metric)
            return tabulate(
                wide, self._task, chunks, self._device, parts=parts, of_size=size, within_s=self._within_s
            )  # fmt: skip

        def judged(chunks: list[Chunk]) -> tuple[FeatureTable, ...]:  # the same points, whatever the network
            return tabulate(wide, self._task, chunks, self._device, gram=False)

        return Tables(
            trained(points.train),
            judged(points.validation),
            trained(points.recorded_train),
            judged(points.recorded_validation),
        )

    def _with_all_features(self, network: str) -> list[Any]:
        """A loss with every feature that a trial may have, and losses that have them between them, if there are any."""
        task, level = self._task, self._metric.level
        wide, *parts = (
            surrogates.build(task, level, network, **settings).to(self._device)
            for settings in [self._space.widest(task, network), *self._space.parts(task, network)]
        )
        found: list[Any] = [wide, *parts]
        there = {name for part in found[1:] for name in part.network.feature_names()}
        return found if there >= set(found[0].network.feature_names()) else found[:1]


def _plain(tables: Tables) -> dict[str, list[dict[str, Any]]]:
    """Tables as a file keeps them."""
    return {
        name: [
            {
                "features": table.features.cpu(),
                "gram": None if table.gram is None else table.gram.cpu(),
                "values": table.values.cpu(),
                "feature_names": table.feature_names,
            }
            for table in found
        ]
        for name, found in vars(tables).items()
    }


def _read(file: Path, device: torch.device) -> Tables:
    """Tables from a file, which on a CPU stay there until they are looked at: all processes then share one copy."""
    kept = torch.load(file, mmap=True, weights_only=True)
    return Tables(**{name: [_moved(FeatureTable(**table), device) for table in found] for name, found in kept.items()})


def _moved(table: FeatureTable, device: torch.device) -> FeatureTable:
    gram = None if table.gram is None else table.gram.to(device)
    return FeatureTable(table.features.to(device), gram, table.values.to(device), table.feature_names)
