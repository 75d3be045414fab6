"""The process that runs trials: its setup, how the setup is sent to it, and its main loop."""

from __future__ import annotations

import contextlib
import dataclasses
import pickle
import queue
import threading
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import cloudpickle
import torch

from autosurrogate import tasks
from autosurrogate.evaluation.descent import DescentPath
from autosurrogate.points.labelled_points import Points
from autosurrogate.processes import worker_streams
from autosurrogate.registry import registration, user_file
from autosurrogate.registry.metric_type import Metric
from autosurrogate.search.network_tables import NetworkTables
from autosurrogate.search.space import Space
from autosurrogate.search.trial import Runner
from autosurrogate.tasks import Task

_POINTS = "points.pt"


@dataclass(frozen=True)
class Setup:
    """What all trials of a search share.

    Args:
        task: the task.
        metric: the metric; only its declaration is used.
        space: the search space.
        points: labelled chunks.
        way: of the descent check.
        device: where to train.
        within_s: seconds of a reference machine after which each network's table takes no further points.
    """

    task: Task
    metric: Metric
    space: Space
    points: Points
    descent_path: DescentPath
    device: torch.device
    within_s: Mapping[str, float]

    def runner(self, folder: Path | None = None) -> Runner:
        """What runs the trials; the feature tables are files in `folder` if there is one."""
        tables = NetworkTables(
            self.task, self.metric, self.space, self.points, self.device, self.within_s, folder
        )  # fmt: skip
        return Runner(self.task, self.metric, self.device, tables, self.descent_path)


def pack(setup: Setup, folder: Path) -> bytes:
    """The setup as the first message to a process; the points become a file in the folder that the processes share."""
    torch.save((setup.points, setup.descent_path), folder / _POINTS)
    is_user_task = tasks.is_user_task(setup.task.name)
    file = user_file.path_of(type(setup.task).__module__) if is_user_task else None
    task = (file, cloudpickle.dumps(setup.task)) if is_user_task else setup.task.name
    return pickle.dumps((task, _declared(setup.metric), setup.space, setup.device, setup.within_s, folder))


def serve(requests: IO[bytes]) -> None:
    """Run the process: read jobs from `requests`, write replies to standard output, never return.

    A reply is a `trial.Outcome`, or the exception that the trial raised. The process ends when its input is closed.
    """
    replies = worker_streams.take_stdout(requests)
    torch.set_num_threads(1)
    runner = _runner(*pickle.load(requests))
    inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=worker_streams.receive, args=(requests, inbox), daemon=True).start()
    while True:
        job = inbox.get()
        try:
            reply: Any = runner.run(job)
        except Exception as error:
            error.add_note(traceback.format_exc())
            reply = error
        with contextlib.suppress(Exception):
            worker_streams.send(replies, reply)
            continue
        worker_streams.send(replies, RuntimeError(repr(reply)))  # an exception that cannot be pickled


def _runner(
    task: str | tuple[Path | None, bytes],
    metric: Metric,
    space: Space,
    device: torch.device,
    within_s: Mapping[str, float],
    folder: Path,
) -> Runner:
    if not isinstance(task, str):
        file, pickled = task
        with registration.unchecked():
            if file is not None:
                user_file.load(file)  # which the pickled task refers to
            task = tasks.register(pickle.loads(pickled))
    points, descent_path = torch.load(folder / _POINTS, mmap=True, weights_only=False)
    return Setup(tasks.get(task), metric, space, points, descent_path, device, within_s).runner(folder)


def _declared(metric: Metric) -> Metric:
    """A metric without its function, which trials do not call."""
    parts = tuple(map(_declared, metric.parts))
    return dataclasses.replace(metric, function=_not_callable, spec=None, parts=parts)


def _not_callable(preds: Any, target: Any) -> float:
    raise NotImplementedError("a process for trials does not call metrics")
