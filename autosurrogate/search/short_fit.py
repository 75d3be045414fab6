"""A short fit to points with a changed property: whether a loss follows a metric that depends on the property.

No network's features may predict how the metric's values change, and a loss may still rank the changed points well:
the property matters little beside what the loss sees.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from autosurrogate import surrogates
from autosurrogate.evaluation import changed_points
from autosurrogate.labelling.outcomes import Point
from autosurrogate.points import metric_calls
from autosurrogate.points.labelled_set import Chunk
from autosurrogate.registry.metric_type import Metric
from autosurrogate.tasks import Task
from autosurrogate.training.feature_table import FeatureTable, tabulate
from autosurrogate.training.loop import Settings, Tables, rank_correlation, train

N_BATCHES, POINTS_A_BATCH = 20, 16  # generated
N_CALLS = N_BATCHES * POINTS_A_BATCH  # of the metric
PARTS = (11, 4, 5)  # of the batches: to train on, to choose a checkpoint by, and to measure the rank correlation on
SETTINGS = Settings(n_steps=300, batch_points=64, learning_rate=1e-2, weight_decay=1e-4, penalty=0.0)


def fitted_spearman(
    task: Task,
    metric: Metric,
    networks: Mapping[str, Mapping[str, Any]],
    what: str,
    label: Callable[[Sequence[Point]], np.ndarray],
    seed: int = 0,
) -> float:
    """The largest rank correlation of a short fit on points with a changed property.

    Args:
        task: the metric's.
        metric: any.
        networks: to fit, each with the settings with which it has all its features.
        what: the property, see `changed_points.generate`.
        label: the metric of points, NaN where it has no value.
        seed: of everything random.

    Returns:
        Spearman's correlation on points that were neither trained on nor chosen by, in [-1, 1]; 0 where no network can
        be fitted.
    """
    parts = _labelled_parts(task, metric, what, label, seed)
    if not all(parts):
        return 0.0
    return max((_spearman_of(task, metric, name, networks[name], parts, seed) for name in networks), default=0.0)


def _labelled_parts(
    task: Task, metric: Metric, what: str, label: Callable[[Sequence[Point]], np.ndarray], seed: int
) -> list[list[Chunk]]:
    """Changed points with their values: to train on, to choose by and to measure on."""
    set_size = metric_calls.set_size_of(metric)
    chunks: list[Chunk] = []
    for _, versions in changed_points.generate(task, metric, "short fit", N_BATCHES, POINTS_A_BATCH, seed):
        examples = versions[what]
        values = label(metric_calls.points_of(task, metric, examples, set_size))
        chunk = Chunk(examples, set_size, torch.from_numpy(np.asarray(values, dtype=np.float64)), None)
        chunks.append(chunk.select(torch.from_numpy(np.flatnonzero(np.isfinite(values)))))
    ends = np.cumsum(PARTS)
    return [
        [chunk for chunk in chunks[start:end] if len(chunk)] for start, end in zip((0, *ends[:-1]), ends, strict=True)
    ]


def _spearman_of(
    task: Task,
    metric: Metric,
    network: str,
    settings: Mapping[str, Any],
    parts: Sequence[Sequence[Chunk]],
    seed: int,
) -> float:
    with torch.random.fork_rng(devices=()):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would also set the caller's GPUs
        loss = surrogates.build(task, metric.level, network, **settings)
    train_on, choose_by, measure_on = (_tables(task, loss, part) for part in parts)
    train(loss, Tables(train_on, choose_by), SETTINGS, higher_is_better=metric.higher_is_better, seed=seed)
    return rank_correlation(loss, measure_on, metric.higher_is_better)


def _tables(task: Task, loss: surrogates.Loss, chunks: Sequence[Chunk]) -> tuple[FeatureTable, ...]:
    return tabulate(loss, task, chunks, torch.device("cpu"), gram=False)
