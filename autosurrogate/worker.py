"""A labelling worker: a process that calls a metric on one point after the other and survives what it does."""

from __future__ import annotations

import faulthandler
import inspect
import math
import numbers
import os
import pickle
import queue
import reprlib
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import IO, Any, Literal

from autosurrogate import worker_streams

#: A worker that has been silent for the time limit of one call and this long besides is hung.
GRACE_S = 1.0
#: How long a process may take to start, with all that the metric's file imports.
START_LIMIT_S = 180.0
#: Answers are sent at least this often, as soon as the running call allows it.
_ANSWER_EVERY_S = 0.05

Kind = Literal["raised", "timeout", "nan", "not a number", "crashed"]
Point = tuple[Any, Any]
Function = Callable[[Any, Any], Any]


@dataclass(frozen=True)
class Problem:
    """Why a point has no label.

    Args:
        kind: what happened.
        message: one line that says it.
    """

    kind: Kind
    message: str


@dataclass(frozen=True)
class Answers:
    """Outcomes of the next points of a batch, in order, and the seconds they took."""

    outcomes: list[float | Problem]
    seconds: float


@dataclass(frozen=True)
class Ready:
    """The first word of a worker: it has loaded the metric, or why it could not."""

    error: str | None


def label_one(function: Function, point: Point, timeout_s: float) -> float | Problem:
    """The metric's value on one point.

    >>> label_one(lambda preds, target: sum(preds) / 2, ([1, 2], None), timeout_s=1.0)
    1.5
    >>> label_one(lambda preds, target: preds, ([1, 2], None), timeout_s=1.0)
    Problem(kind='not a number', message='returned list [1, 2]')
    """
    try:
        with _time_limit(timeout_s):
            return _as_label(function(*point))
    except _TimeUp as time_up:
        return Problem("timeout", one_line(f"took longer than {timeout_s:g} s{_where(time_up, function)}"))
    except BaseException as error:  # a metric may also raise SystemExit or KeyboardInterrupt
        return Problem("raised", one_line(f"{_describe(error)}{_where(error, function)}"))


def one_line(text: str, limit: int = 300) -> str:
    """`text` without line breaks, cut to `limit` characters."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def serve(requests: IO[bytes]) -> None:
    """Be a worker: read the metric and batches of points from `requests`, answer on standard output, never return.

    What the metric prints goes nowhere. The process ends with the pipe of its requests, that is with its parent.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    replies = worker_streams.taken(requests)
    silence = _HardLimit()
    silence.expect_word_within(START_LIMIT_S)
    payload, timeout_s = pickle.load(requests)
    inbox: queue.SimpleQueue[tuple[bytes, bool]] = queue.SimpleQueue()
    threading.Thread(target=worker_streams.receive, args=(requests, inbox), daemon=True).start()
    try:
        function = pickle.loads(payload).function
    except BaseException as error:  # the file of a metric may do anything when it is imported
        worker_streams.send(replies, Ready(one_line(_describe(error))))
        os._exit(1)
    worker_streams.send(replies, Ready(None))
    while True:
        silence.lift()
        batch, one_by_one = inbox.get()
        pause = 0.0 if one_by_one else _ANSWER_EVERY_S
        silence.expect_word_within(timeout_s + GRACE_S)
        for answers in _label_batch(function, batch, timeout_s, pause):
            worker_streams.send(replies, answers)
            silence.expect_word_within(timeout_s + GRACE_S)


def _label_batch(function: Function, batch: bytes, timeout_s: float, pause: float) -> Iterator[Answers]:
    """Answers to the points of a pickled batch, given out after the call that ends `pause` seconds without any."""
    since = time.perf_counter()
    points: Sequence[Point] = pickle.loads(batch)
    outcomes: list[float | Problem] = []
    for i, point in enumerate(points):
        outcomes.append(label_one(function, point, timeout_s))
        now = time.perf_counter()
        if now - since >= pause or i == len(points) - 1:
            yield Answers(outcomes, now - since)
            outcomes, since = [], time.perf_counter()


class _HardLimit:
    """Ends a process that hangs where Python's signals do not reach it, even while it holds the interpreter's lock."""

    def __init__(self) -> None:
        self._nowhere = open(os.devnull, "w")  # as long as the process

    def expect_word_within(self, limit_s: float) -> None:
        """End the process in `limit_s` seconds, unless this is called again or `lift` is."""
        faulthandler.dump_traceback_later(limit_s, exit=True, file=self._nowhere)

    def lift(self) -> None:
        """Nothing is to be said for now."""
        faulthandler.cancel_dump_traceback_later()


class _TimeUp(BaseException):
    """The time of a call is up; not an `Exception`, so that a metric which catches those does not swallow it."""


def _raise_time_up(signal_number: int, frame: object) -> None:
    raise _TimeUp


@contextmanager
def _time_limit(timeout_s: float) -> Iterator[None]:
    """Raise `_TimeUp` in the block after `timeout_s` seconds, on platforms that have timers."""
    if not hasattr(signal, "setitimer"):
        yield
        return
    if signal.getsignal(signal.SIGALRM) is not _raise_time_up:  # a metric may have its own use for the signal
        signal.signal(signal.SIGALRM, _raise_time_up)
    signal.setitimer(signal.ITIMER_REAL, timeout_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)


def _as_label(value: Any) -> float | Problem:
    number = _as_float(value)
    if number is None:
        return Problem("not a number", f"returned {_show(value)}")
    if not math.isfinite(number):
        return Problem("nan", f"returned {number}")
    return number


def _as_float(value: Any) -> float | None:
    """A real number, or an array or tensor without axes that holds one, as a float; None for all else."""
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        value = value.item()
    return float(value) if isinstance(value, numbers.Real | Decimal) else None


def _show(value: Any) -> str:
    """Type and short representation of what a metric returned."""
    if value is None:
        return "None"
    shape = getattr(value, "shape", None)
    of_shape = "" if shape is None else f" of shape {tuple(shape)}"
    return f"{type(value).__name__}{of_shape} {one_line(reprlib.repr(value), 100)}"


def _describe(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}".rstrip(": ")
    except Exception:  # its __str__ fails
        return type(error).__name__


def _where(error: BaseException, function: Function) -> str:
    """` (file:line)` of the metric's function, innermost in its own file; empty if no Python code was running."""
    steps = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    steps = [step for step in steps if step[0] not in (__file__, _CONTEXTLIB_FILE)]
    if not steps:
        return ""
    code = getattr(inspect.unwrap(function), "__code__", None)
    own = [step for step in steps if code is not None and step[0] == code.co_filename]
    path, line = own[-1] if own else steps[0]
    return f" ({path}:{line})"


_CONTEXTLIB_FILE = inspect.getfile(contextmanager)
