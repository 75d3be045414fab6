"""Calls of a metric as short text, for reports and messages."""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from autosurrogate.labelling.labels import Labels
from autosurrogate.labelling.outcomes import Point

QUANTILES = (0.9, 0.5, 0.1)  # of the values whose points are shown
MAX_CHARACTERS, MAX_NUMBERS, MAX_ITEMS = 60, 6, 2  # of strings, of lists of integers, and of other lists


@dataclass(frozen=True)
class ShownCall:
    """One call of a metric, shortened.

    Args:
        preds: the first argument.
        target: the second argument.
        returned: the returned number, or what happened instead.
    """

    preds: str
    target: str
    returned: str


def shown_change(before: Point, after: Point, returned: tuple[str, str]) -> tuple[ShownCall, ShownCall]:
    """Two calls of which one argument or both were changed: arrays are shown from the first entry that differs.

    Args:
        before: what the metric is called with.
        after: the same, changed.
        returned: what it returned for each.
    """
    of_preds, of_target = (_first_difference(one, other) for one, other in zip(before, after, strict=True))
    one, other = (
        ShownCall(_short(preds, of_preds), _short(target, of_target), text)
        for (preds, target), text in zip((before, after), returned, strict=True)
    )
    return one, other


def shown_calls(points: Sequence[Point], labels: Labels) -> tuple[ShownCall, ...]:
    """Calls with a large, a middle and a small value, and the first call that failed, if there is any."""
    order = np.argsort(-labels.values)[: int(np.isfinite(labels.values).sum())]
    index = [order[int((1 - quantile) * (len(order) - 1))] for quantile in QUANTILES] if len(order) else []
    calls = [(points[i], f"{labels.values[i]:.6g}") for i in index]
    if labels.problems:
        calls.append((points[int(np.isnan(labels.values).argmax())], labels.problems[0].message))
    return tuple(ShownCall(_short(preds), _short(target), returned) for (preds, target), returned in calls)


def _first_difference(one: Any, other: Any) -> int:
    """The place of the first entry in which two arrays of one shape differ; 0 for anything else."""
    if not isinstance(one, np.ndarray) or not isinstance(other, np.ndarray) or one.shape != other.shape:
        return 0
    return int((one != other).argmax()) if one.size else 0


def _short(argument: Any, start: int = 0) -> str:
    """An argument in one line; an array from one of its entries on."""
    short = reprlib.Repr()
    short.maxother = short.maxstring = short.maxlong = MAX_CHARACTERS
    are_integers = isinstance(argument, list) and argument and isinstance(argument[0], int)
    short.maxlist = MAX_NUMBERS if are_integers else MAX_ITEMS
    return short.repr(_ShortArray(argument, start) if start else _with_short_arrays(argument))


def _with_short_arrays(argument: Any) -> Any:
    if isinstance(argument, np.ndarray | np.number | np.bool_):
        return _ShortArray(np.asarray(argument))
    if isinstance(argument, dict):
        return {name: _with_short_arrays(value) for name, value in argument.items()}
    if isinstance(argument, list | tuple):
        return type(argument)(map(_with_short_arrays, argument))
    return argument


class _ShortArray:
    """An array whose text is some of its entries and its shape."""

    def __init__(self, array: np.ndarray, start: int = 0) -> None:
        self._array, self._start = array, start

    def __repr__(self) -> str:
        end = self._start + 4
        shown = self._array.ravel()[self._start : end].tolist()
        entries = [f"{entry:.3g}" if isinstance(entry, float) else str(entry) for entry in shown]
        if not self._array.ndim:
            return entries[0]
        before, more = "..., " if self._start else "", ", ..." if self._array.size > end else ""
        return f"array({before}{', '.join(entries)}{more}; shape {'x'.join(map(str, self._array.shape))})"
