"""A process of its own for trials: what it is told first, and what it then does."""

from __future__ import annotations

import contextlib
import dataclasses
import pickle
import queue
import threading
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import cloudpickle
import torch

from autosurrogate import tasks
from autosurrogate.evaluation.descent import Way
from autosurrogate.points.labelled_points import Points
from autosurrogate.processes import worker_streams
from autosurrogate.registry import store, user_file
from autosurrogate.registry.metric_type import Metric
from autosurrogate.search.network_tables import NetworkTables
from autosurrogate.search.search_space import Space
from autosurrogate.search.trial import Runner
from autosurrogate.tasks import Task

_POINTS = "points.pt"


@dataclass(frozen=True)
class Setup:
    """What all trials of a search have in common.

    Args:
        task: the task.
        metric: the metric; only its declaration matters.
        space: the search space.
        points: labelled chunks.
        way: of the descent check.
        device: where to train.
        within_s: seconds after which a network's table takes no further points.
    """

    task: Task
    metric: Metric
    space: Space
    points: Points
    way: Way
    device: torch.device
    within_s: float

    def runner(self, folder: Path | None = None) -> Runner:
        """What does the trials; the tables are shared in a folder if there is one."""
        tables = NetworkTables(
            self.task, self.metric, self.space, self.points, self.device, self.within_s, folder
        )  # fmt: skip
        return Runner(self.task, self.metric, self.device, tables, self.way)


def packed(setup: Setup, folder: Path) -> bytes:
    """What a process is told first; the points are put in the folder that the processes share."""
    torch.save((setup.points, setup.way), folder / _POINTS)
    own = tasks.is_own(setup.task.name)
    file = user_file.path_of(type(setup.task).__module__) if own else None
    task = (file, cloudpickle.dumps(setup.task)) if own else setup.task.name
    return pickle.dumps((task, _declared(setup.metric), setup.space, setup.device, setup.within_s, folder))


def serve(requests: IO[bytes]) -> None:
    """Be a process for trials: read jobs from `requests`, answer on standard output, never return.

    An answer is a `trial.Outcome`, or what the trial raised. The process ends with the pipe of its requests.
    """
    replies = worker_streams.taken(requests)
    torch.set_num_threads(1)
    runner = _runner(*pickle.load(requests))
    inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=worker_streams.receive, args=(requests, inbox), daemon=True).start()
    while True:
        job = inbox.get()
        try:
            answer: Any = runner.run(job)
        except Exception as error:
            error.add_note(traceback.format_exc())
            answer = error
        with contextlib.suppress(Exception):
            worker_streams.send(replies, answer)
            continue
        worker_streams.send(replies, RuntimeError(repr(answer)))  # an exception that cannot be pickled


def _runner(
    task: str | tuple[Path | None, bytes], metric: Metric, space: Space, device: torch.device, within_s: float,
    folder: Path,
) -> Runner:  # fmt: skip
    if not isinstance(task, str):
        file, pickled = task
        with store.unchecked():
            if file is not None:
                user_file.load(file)  # which the pickled task refers to
            task = tasks.add(pickle.loads(pickled))
    points, way = torch.load(folder / _POINTS, mmap=True, weights_only=False)
    return Setup(tasks.get(task), metric, space, points, way, device, within_s).runner(folder)


def _declared(metric: Metric) -> Metric:
    """A metric without its function, which need not be found again."""
    parts = tuple(map(_declared, metric.parts))
    return dataclasses.replace(metric, function=_not_here, spec=None, parts=parts)


def _not_here(preds: Any, target: Any) -> float:
    raise NotImplementedError("a process for trials does not run metrics")
