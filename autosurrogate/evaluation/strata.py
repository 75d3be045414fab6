"""How a loss orders each kind of points, beside the regular loss: a high mean may hide a kind that it ranks badly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import scipy.stats

from autosurrogate.export.metadata import StratumOrder
from autosurrogate.points.labelled_set import Chunk
from autosurrogate.rank_correlation.somers import somers_difference
from autosurrogate.tasks import REGIMES, Task

MIN_POINTS = 16  # of a stratum, and of those at least two whose metric differs
CONFIDENCE = 0.95  # that no stratum is called worse than the regular loss by chance, all strata together
ALL = "all points"
QUALITIES = ("the worst third", "the middle third", "the best third")


def order_by_stratum(
    task: Task, losses: np.ndarray, regular_losses: np.ndarray, chunks: Sequence[Chunk], higher_is_better: bool
) -> tuple[StratumOrder, ...]:
    """Somers' D of both losses on the points of each stratum, in agreement with the metric.

    Strata are all points, the regimes of generated models, thirds of the points by the metric, the thirds of those of
    trained models with the lowest and the highest of each of `Task.traits`, and set sizes.

    Args:
        task: the task.
        losses: of the points of all chunks, shape (n_points,).
        regular_losses: the same of the regular loss.
        chunks: the points.
        higher_is_better: direction of the metric.
    """
    values = np.concatenate([chunk.values.numpy() for chunk in chunks])
    goodness = values if higher_is_better else -values
    rows: list[StratumOrder] = []
    for name, member in _strata(task, goodness, chunks):
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


def _strata(task: Task, goodness: np.ndarray, chunks: Sequence[Chunk]) -> Iterator[tuple[str, np.ndarray]]:
    """Names of strata, and which points are in them, bool (n_points,)."""
    yield ALL, np.ones(len(goodness), dtype=bool)
    regime = np.concatenate([np.zeros(len(c)) if c.regime is None else c.regime.numpy() for c in chunks])
    if regime.any():
        for number, name in enumerate(REGIMES):
            yield f"{name} models", regime == number
    everywhere = np.arange(len(goodness))
    for name, index in zip(QUALITIES, _thirds(goodness, everywhere), strict=True):
        yield name, np.isin(everywhere, index)
    trained = np.concatenate([chunk.is_trained.numpy() for chunk in chunks])
    for name, trait in _traits(task, chunks).items():
        of_trained = np.flatnonzero(trained & np.isfinite(trait))
        if np.unique(trait[of_trained]).size > 1:
            low, _, high = _thirds(trait, of_trained)
            yield f"the third with the lowest {name}", np.isin(everywhere, low)
            yield f"the third with the highest {name}", np.isin(everywhere, high)
    sizes = np.concatenate([np.full(len(c), c.set_size) for c in chunks])
    for size in np.unique(sizes) if len(np.unique(sizes)) > 1 else ():
        yield f"sets of {size}", sizes == size


def _thirds(numbers: np.ndarray, index: np.ndarray) -> list[np.ndarray]:
    """Some points in three parts, ascending by their numbers."""
    return np.array_split(index[np.argsort(numbers[index], kind="stable")], len(QUALITIES))


def _traits(task: Task, chunks: Sequence[Chunk]) -> dict[str, np.ndarray]:
    """Traits by name, each of shape (n_points,)."""
    each = [task.traits(chunk.examples, chunk.set_size) for chunk in chunks]
    return {name: np.concatenate([traits[name].double().numpy() for traits in each]) for name in each[0]}
