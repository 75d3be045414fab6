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
from dataclasses import dataclass
from decimal import Decimal
from typing import IO, Any, Literal, Self

from autosurrogate.labelling import packing
from autosurrogate.processes import worker_streams

#: A worker that has been silent for the time limit of one call and this long besides is hung.
GRACE_S = 1.0
#: How long a process may take to start, with all that the metric's file imports.
START_LIMIT_S = 180.0
#: Answers are sent at least this often, as soon as the running call allows it.
_ANSWER_EVERY_S = 0.05
#: To ask for the handler of a signal takes microseconds, so it is not done before each call.
_LOOK_AGAIN_S = 0.01

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


class Caller:
    """Calls a metric on one point after the other, each call within a time limit; a context manager.

    One timer serves many calls, for to set it takes as long as a quick metric: where it rings during a later call than
    that which set it, it is set again to the rest of that call's time.

    >>> with Caller(lambda preds, target: sum(preds) / 2, timeout_s=1.0) as call:
    ...     call(([1, 2], None))
    1.5
    >>> with Caller(lambda preds, target: preds, timeout_s=1.0) as call:
    ...     call(([1, 2], None))
    Problem(kind='not a number', message='returned list [1, 2]')
    """

    def __init__(self, function: Function, timeout_s: float) -> None:
        self._function, self._timeout_s = function, timeout_s
        self._began: float | None = None  # the running call
        self._is_set = False
        self._look_again = 0.0  # whether the signal still is this object's: a metric may have its own use for it
        self._rings = self._ring  # one object, to know it by

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._is_set:
            signal.setitimer(signal.ITIMER_REAL, 0.0)
            self._is_set = False

    def __call__(self, point: Point) -> float | Problem:
        """The metric's value on a point, or why there is none."""
        try:
            self._began = began = time.perf_counter()
            if not self._is_set or began >= self._look_again:
                self._look_again = began + _LOOK_AGAIN_S
                if not self._is_set or signal.getsignal(signal.SIGALRM) is not self._rings:
                    self._set(self._timeout_s)
            try:
                value = self._function(*point)
            finally:
                self._began = None
            return value if type(value) is float and math.isfinite(value) else _as_label(value)
        except _TimeUp as time_up:
            where = _where(time_up, self._function)
            return Problem("timeout", one_line(f"took longer than {self._timeout_s:g} s{where}"))
        except BaseException as error:  # a metric may also raise SystemExit or KeyboardInterrupt
            return Problem("raised", one_line(f"{_describe(error)}{_where(error, self._function)}"))

    def _set(self, seconds: float) -> None:
        """Set the timer, on platforms that have one."""
        if hasattr(signal, "setitimer"):
            signal.signal(signal.SIGALRM, self._rings)
            signal.setitimer(signal.ITIMER_REAL, seconds)
            self._is_set = True

    def _ring(self, signal_number: int, frame: object) -> None:
        self._is_set = False
        if self._began is None:
            return
        left = self._began + self._timeout_s - time.perf_counter()
        if left <= 0:
            raise _TimeUp
        self._set(left)


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
    points: Sequence[Point] = packing.unpacked(batch)
    outcomes: list[float | Problem] = []
    with Caller(function, timeout_s) as call:
        for point in points:
            outcomes.append(call(point))
            now = time.perf_counter()
            if now - since >= pause:
                yield Answers(outcomes, now - since)
                outcomes, since = [], time.perf_counter()
    if outcomes:
        yield Answers(outcomes, time.perf_counter() - since)


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
    steps = [step for step in steps if step[0] != __file__]
    if not steps:
        return ""
    code = getattr(inspect.unwrap(function), "__code__", None)
    own = [step for step in steps if code is not None and step[0] == code.co_filename]
    path, line = own[-1] if own else steps[0]
    return f" ({path}:{line})"
