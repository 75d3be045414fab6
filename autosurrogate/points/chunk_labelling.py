"""Labelling of chunks: with the labels that earlier runs left, and a check of all labels so far."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from autosurrogate.examples import Examples
from autosurrogate.labelling.labeller import Labeller
from autosurrogate.labelling.labels import Labels, check_labels
from autosurrogate.labelling.outcomes import Problem
from autosurrogate.points import label_cache
from autosurrogate.points.label_cache import LabelCache
from autosurrogate.points.metric_calls import points_of
from autosurrogate.registry.metric_type import Metric
from autosurrogate.tasks import Task


class ChunkLabeller:
    """Labels chunks of points.

    Args:
        task: the task.
        metric: the metric.
        labeller: runs the metric.

    Attributes:
        cache: labels of earlier runs; set once its key is known.
        n_cached: how many labels came from earlier runs.
        n_new: how many labels the metric gave.
    """

    def __init__(self, task: Task, metric: Metric, labeller: Labeller) -> None:
        self._task, self._metric, self._labeller = task, metric, labeller
        self.cache = LabelCache(None)
        self.n_cached = self.n_new = 0
        self._checked: dict[str, tuple[list[np.ndarray], list[Problem]]] = {}

    def submit(self, name: str, examples: Examples, set_size: int) -> Callable[[], Labels]:
        """Begin to label a chunk, unless an earlier run did.

        Args:
            name: of the chunk in the cache.
            examples: of its points, one point after the other.
            set_size: examples a point.

        Returns:
            A function that waits for the labels.
        """
        cached = self.cache.get(name, len(examples) // set_size)
        if cached is not None:
            self.n_cached += len(cached.values)
            return lambda: cached
        pending = self._labeller.submit(points_of(self._task, self._metric, examples, set_size))

        def wait() -> Labels:
            labels = pending.result()
            self.cache.put(name, labels)
            self.n_new += len(labels.values)
            return labels

        return wait

    def check(self, kind: str, labels: Labels | None = None, minimum: int = 1) -> None:
        """Check all labels of a kind so far, once there are `minimum`: the first few may all be equal, or all dropped.

        Raises:
            LabellingError: the metric fails on too many points, or is constant.
        """
        values, problems = self._checked.setdefault(kind, ([], []))
        if labels is not None:
            values.append(labels.values)
            problems.extend(labels.problems)
        if sum(map(len, values)) >= minimum:
            check_labels(self._metric, np.concatenate(values), problems)

    def trim_cache(self) -> None:
        """Bound the size of the cache, if this run added to it."""
        if self.n_new:
            label_cache.trim()
