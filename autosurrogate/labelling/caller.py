"""Calling a metric on one point, with a time limit, whatever it returns or raises."""

from __future__ import annotations

import inspect
import math
import numbers
import reprlib
import signal
import time
import traceback
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Self

from autosurrogate.labelling.outcomes import Point, Problem

#: To ask for the handler of a signal takes microseconds, so it is not done before each call.
_CHECK_HANDLER_EVERY_S = 0.01

Function = Callable[[Any, Any], Any]


class Caller:
    """Calls a metric on one point after the other, each call within a time limit; a context manager.

    One timer serves many calls, as to set it takes as long as a quick metric. If it rings during a later call than the
    one that set it, it is set again to the rest of that call's time.

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
        self._check_handler_at = 0.0  # when to check that a metric has not set a handler of its own
        self._handler = self._ring  # each access to a method gives another object, so store one

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
            if not self._is_set or began >= self._check_handler_at:
                self._check_handler_at = began + _CHECK_HANDLER_EVERY_S
                if not self._is_set or signal.getsignal(signal.SIGALRM) is not self._handler:
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
            return Problem("raised", one_line(f"{describe(error)}{_where(error, self._function)}"))

    def _set(self, seconds: float) -> None:
        """Set the timer, on platforms that have one."""
        if hasattr(signal, "setitimer"):
            signal.signal(signal.SIGALRM, self._handler)
            signal.setitimer(signal.ITIMER_REAL, seconds)
            self._is_set = True

    def _ring(self, signal_number: int, frame: object) -> None:
        self._is_set = False
        if self._began is None:
            return
        left_s = self._began + self._timeout_s - time.perf_counter()
        if left_s <= 0:
            raise _TimeUp
        self._set(left_s)


def one_line(text: str, limit: int = 300) -> str:
    """`text` without line breaks, cut to `limit` characters."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


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


def describe(error: BaseException) -> str:
    """The class and message of what a metric's code raised."""
    try:
        return f"{type(error).__name__}: {error}".rstrip(": ")
    except Exception:  # its __str__ fails
        return type(error).__name__


def _where(error: BaseException, function: Function) -> str:
    """` (file:line)` of the metric's function, innermost in its own file; empty if no Python code was running."""
    frames = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    frames = [frame for frame in frames if frame[0] != __file__]
    if not frames:
        return ""
    code = getattr(inspect.unwrap(function), "__code__", None)
    own = [frame for frame in frames if code is not None and frame[0] == code.co_filename]
    path, line = own[-1] if own else frames[0]
    return f" ({path}:{line})"
