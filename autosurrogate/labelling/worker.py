"""A labelling worker: a process that calls a metric on one point after the other and survives what it does."""

from __future__ import annotations

import faulthandler
import os
import pickle
import queue
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from typing import IO

from autosurrogate.labelling import packing
from autosurrogate.labelling.caller import Caller, Function, describe, one_line
from autosurrogate.labelling.outcomes import Answers, Point, Problem, Ready
from autosurrogate.processes import worker_streams

#: A worker that has been silent for the time limit of one call and this long besides is hung.
GRACE_S = 1.0
#: How long a process may take to start, with all that the metric's file imports.
START_LIMIT_S = 180.0
#: Answers are sent at least this often, as soon as the running call allows it.
_ANSWER_EVERY_S = 0.05


def serve(requests: IO[bytes]) -> None:
    """Run a worker: read the metric and batches of points from `requests`, answer on standard output, never return.

    What the metric prints is lost. The process ends with the pipe of its requests, that is with its parent.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    replies = worker_streams.take_stdout(requests)
    hard_limit = _HardLimit()
    hard_limit.start(START_LIMIT_S)
    payload, timeout_s = pickle.load(requests)
    inbox: queue.SimpleQueue[tuple[bytes, bool]] = queue.SimpleQueue()
    threading.Thread(target=worker_streams.receive, args=(requests, inbox), daemon=True).start()
    try:
        function = pickle.loads(payload).function
    except BaseException as error:  # the file of a metric may do anything when it is imported
        worker_streams.send(replies, Ready(one_line(describe(error))))
        os._exit(1)
    worker_streams.send(replies, Ready(None))
    while True:
        hard_limit.cancel()
        batch, one_by_one = inbox.get()
        pause = 0.0 if one_by_one else _ANSWER_EVERY_S
        hard_limit.start(timeout_s + GRACE_S)
        for answers in _label_batch(function, batch, timeout_s, pause):
            worker_streams.send(replies, answers)
            hard_limit.start(timeout_s + GRACE_S)


def _label_batch(function: Function, batch: bytes, timeout_s: float, pause: float) -> Iterator[Answers]:
    """Answers to the points of a pickled batch, yielded after the call that ends `pause` seconds without any."""
    began = time.perf_counter()
    points: Sequence[Point] = packing.unpack(batch)
    outcomes: list[float | Problem] = []
    with Caller(function, timeout_s) as call:
        for point in points:
            outcomes.append(call(point))
            now = time.perf_counter()
            if now - began >= pause:
                yield Answers(outcomes, now - began)
                outcomes, began = [], time.perf_counter()
    if outcomes:
        yield Answers(outcomes, time.perf_counter() - began)


class _HardLimit:
    """Ends a process that hangs where Python's signals do not reach it, even while it holds the interpreter's lock."""

    def __init__(self) -> None:
        self._devnull = open(os.devnull, "w")  # as long as the process

    def start(self, limit_s: float) -> None:
        """End the process in `limit_s` seconds, unless this is called again, or `cancel`."""
        faulthandler.dump_traceback_later(limit_s, exit=True, file=self._devnull)

    def cancel(self) -> None:
        """Set no limit for now."""
        faulthandler.cancel_dump_traceback_later()
