"""Batches of points: from which table, and which of its points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from autosurrogate.training.feature_table import FeatureTable


@dataclass(frozen=True)
class OrderedTable:
    """A table whose points are ordered by the metric.

    Args:
        table: the table.
        badness: the metric scaled to [0, 1], 0 the best value of the table, shape (n_points,), float64, on a CPU.
        order: numbers of the points, ascending by the metric, shape (n_points,), on a CPU.
    """

    table: FeatureTable
    badness: Tensor
    order: Tensor

    @classmethod
    def of(cls, table: FeatureTable, higher_is_better: bool) -> Self:
        """Order a table."""
        values = table.values.cpu()
        low, high = values.min(), values.max()
        scaled = (values - low) / (high - low).clamp_min(1e-12)
        return cls(table, 1 - scaled if higher_is_better else scaled, values.argsort())


def draw_table(tables: Sequence[OrderedTable], generator: torch.Generator) -> OrderedTable:
    """A random table, with a probability in proportion to its points."""
    if len(tables) == 1:
        return tables[0]
    n_points = torch.tensor([float(len(ordered.table)) for ordered in tables])
    return tables[int(torch.multinomial(n_points, 1, generator=generator))]


def draw_batch(order: Tensor, batch_points: int, window: float, generator: torch.Generator) -> Tensor:
    """Numbers of the points of a batch, from a random window of the points in the order of the metric.

    Args:
        order: of all points, see `OrderedTable`.
        batch_points: points a batch, at most.
        window: fraction of the points that the window has.
        generator: source of all randomness.
    """
    length = min(len(order), max(batch_points, round(window * len(order))))
    half = length // 2  # windows may begin beyond the ends, or the best and worst points would seldom be drawn
    start = int(torch.randint(-half, len(order) - length + half + 1, (), generator=generator))
    start = min(max(start, 0), len(order) - length)
    return order[start + torch.randperm(length, generator=generator)[:batch_points]]
