"""How the time for feature tables is divided among the networks of a search space."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from autosurrogate.points.labelled_points import Points
from autosurrogate.registry.metric_type import Metric
from autosurrogate.search.network_tables import with_all_features
from autosurrogate.search.space import Space
from autosurrogate.tasks import Task
from autosurrogate.training.feature_table import seconds_of_tables

SPARE = 1.2  # times what the table of all points is counted to cost


def table_seconds(
    task: Task, metric: Metric, space: Space, points: Points, device: torch.device, seconds: float
) -> dict[str, float]:
    """Seconds of a reference machine for the table of each network, of generated points and of recorded ones alike.

    Args:
        task: the task.
        metric: the metric; only its declaration is used.
        space: whose networks they are.
        points: labelled chunks.
        device: where tables are computed.
        seconds: for all networks.
    """
    if len(space.networks) == 1:
        return dict.fromkeys(space.networks, seconds)
    needs: dict[str, float] = {}
    for network in space.networks:
        widest, *parts = with_all_features(task, metric, space, network, device)
        needs[network] = SPARE * max(
            seconds_of_tables(widest, task, chunks, device, parts=parts)
            for chunks in (points.train, points.recorded_train)
        )
    return divide(needs, seconds)


def divide(needs: Mapping[str, float], seconds: float) -> dict[str, float]:
    """Equal shares, but none gets more than it needs, and the others share what it leaves.

    >>> divide({"cheap": 1.0, "dear": 20.0, "dearer": 30.0}, 15.0)
    {'cheap': 1.0, 'dear': 7.0, 'dearer': 7.0}
    """
    shares: dict[str, float] = {}
    left = seconds
    for n_done, network in enumerate(sorted(needs, key=needs.__getitem__)):
        shares[network] = min(needs[network], left / (len(needs) - n_done))
        left -= shares[network]
    return {network: shares[network] for network in needs}
