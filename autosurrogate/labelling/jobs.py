"""Jobs of a labeller: points that were submitted, and the batches that workers label."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np

from autosurrogate.errors import LabellingError
from autosurrogate.labelling.labels import Labels
from autosurrogate.labelling.outcomes import Point, Problem


class PendingLabels(Future[Labels]):
    """The labels of points that were submitted; `result()` waits for them."""

    def __init__(self, points: Sequence[Point]) -> None:
        super().__init__()
        self.n_points = len(points)
        self.n_done = 0
        self.points = points
        self.n_taken = 0
        self.n_costly = 0
        self._values = np.full(len(points), np.nan)
        self.problems: dict[int, Problem] = {}
        self._started = time.perf_counter()
        self.set_running_or_notify_cancel()  # it cannot be cancelled, except by closing the labeller

    def take(self, size: int) -> Batch:
        """The next `size` points, or those that are left."""
        if self.n_taken == 0:
            self._started = time.perf_counter()
        batch = Batch(self, self.n_taken, min(self.n_taken + size, self.n_points))
        self.n_taken = batch.stop
        return batch

    def store(self, index: int, outcome: float | Problem) -> None:
        """Store the outcome of a point."""
        if isinstance(outcome, Problem):
            self.problems[index] = outcome
            self.n_costly += outcome.kind in ("timeout", "crashed")
        else:
            self._values[index] = outcome
        self.n_done += 1

    def finish(self) -> None:
        """Set the result; all outcomes are stored."""
        problems = [self.problems[i] for i in sorted(self.problems)]
        self.points = ()
        self.set_result(Labels(self._values, problems, time.perf_counter() - self._started))

    def fail(self, error: LabellingError) -> None:
        """Raise `error` where the result is waited for."""
        self.points = ()
        self.n_taken = self.n_points
        self.set_exception(error)


@dataclass(eq=False)
class Batch:
    """The points `start` to `stop` of a job, less those already answered."""

    job: PendingLabels
    start: int
    stop: int
    #: After a worker was lost over it a batch is answered point by point, so that the cause is found.
    one_by_one: bool = False

    def __len__(self) -> int:
        return self.stop - self.start
