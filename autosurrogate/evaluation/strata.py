"""How a loss orders each kind of points, beside the regular loss: a high mean may hide a kind that it ranks badly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import scipy.stats

from autosurrogate.export.metadata import StratumOrder
from autosurrogate.points.labelled_set import Chunk
from autosurrogate.rank_correlation.somers import somers_difference
from autosurrogate.tasks import REGIMES

MIN_POINTS = 16  # of a stratum, and of those at least two whose metric differs
CONFIDENCE = 0.95  # that no stratum is called worse than the regular loss by chance, all strata together
QUALITIES = ("the worst third", "the middle third", "the best third")


def order_by_stratum(
    losses: np.ndarray, regular_losses: np.ndarray, chunks: Sequence[Chunk], higher_is_better: bool
) -> tuple[StratumOrder, ...]:
    """Somers' D of both losses on the points of each stratum, in agreement with the metric.

    Strata are the regimes of generated models, thirds of the points by the metric, and set sizes.

    Args:
        losses: of the points of all chunks, shape (n_points,).
        regular_losses: the same of the regular loss.
        chunks: the points.
        higher_is_better: direction of the metric.
    """
    values = np.concatenate([chunk.values.numpy() for chunk in chunks])
    goodness = values if higher_is_better else -values
    rows: list[StratumOrder] = []
    for name, member in _strata(goodness, chunks):
        order = somers_difference(-losses[member], -regular_losses[member], goodness[member])
        if member.sum() >= MIN_POINTS and not np.isnan(order.first):
            rows.append(StratumOrder(name, int(member.sum()), order.first, order.second, order.error))
    return tuple(rows)


def behind_regular_loss(strata: Sequence[StratumOrder]) -> list[StratumOrder]:
    """The strata that a loss orders worse than the regular loss does, beyond noise (Bonferroni)."""
    if not strata:
        return []
    n_errors = float(scipy.stats.norm.ppf(1 - (1 - CONFIDENCE) / len(strata)))
    return [row for row in strata if row.loss_somers_d + n_errors * row.difference_error < row.regular_loss_somers_d]


def _strata(goodness: np.ndarray, chunks: Sequence[Chunk]) -> Iterator[tuple[str, np.ndarray]]:
    """Names of strata, and which points are in them, bool (n_points,)."""
    regime = np.concatenate([np.zeros(len(c)) if c.regime is None else c.regime.numpy() for c in chunks])
    if regime.any():
        for number, name in enumerate(REGIMES):
            yield f"{name} models", regime == number
    thirds = np.array_split(np.argsort(goodness, kind="stable"), len(QUALITIES))
    for name, index in zip(QUALITIES, thirds, strict=True):
        yield name, np.isin(np.arange(len(goodness)), index)
    sizes = np.concatenate([np.full(len(c), c.set_size) for c in chunks])
    for size in np.unique(sizes) if len(np.unique(sizes)) > 1 else ():
        yield f"sets of {size}", sizes == size
