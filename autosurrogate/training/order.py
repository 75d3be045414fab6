"""How a loss orders kinds of held-out points: trials are selected by the kind that a loss orders worst."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from autosurrogate.rank_correlation.somers import somers_d
from autosurrogate.surrogates import Loss
from autosurrogate.training.feature_table import FeatureTable
from autosurrogate.training.loop import Tables, losses

MIN_POINTS = 16  # of a kind; fewer show little


def worst_somers_d(loss: Loss, tables: Tables, higher_is_better: bool) -> float:
    """The lowest Somers' D with respect to the metric, of three kinds of held-out points.

    These are generated points of trained models, generated points of all other regimes, and recorded points. A kind of
    which there are fewer than `MIN_POINTS`, or whose metric is the same everywhere, is left out.

    Args:
        loss: from `surrogates.build`.
        tables: as its network sees the points.
        higher_is_better: direction of the metric.

    Returns:
        In [-1, 1]; 0 where all kinds are left out.
    """
    sign = -1.0 if higher_is_better else 1.0
    orders = [sign * somers_d(loss_values, values) for loss_values, values in _kinds(loss, tables)]
    return min((order for order in orders if not np.isnan(order)), default=0.0)


def _kinds(loss: Loss, tables: Tables) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Losses and the metric of the points of each kind."""
    for group in (tables.held_out, tables.recorded_held_out):
        if not group:
            continue
        loss_values, values, trained = _on(loss, group)
        for member in (trained, ~trained):
            if member.sum() >= MIN_POINTS:
                yield loss_values[member], values[member]


def _on(loss: Loss, tables: Sequence[FeatureTable]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    with torch.no_grad():
        loss_values = losses(loss, tables).double().cpu().numpy()
    values = torch.cat([table.values for table in tables]).cpu().numpy()
    return loss_values, values, torch.cat([_is_trained(table) for table in tables]).cpu().numpy()


def _is_trained(table: FeatureTable) -> Tensor:
    return torch.ones_like(table.values, dtype=torch.bool) if table.is_trained is None else table.is_trained
