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


def shown_call(point: Point, returned: str) -> ShownCall:
    """One call.

    Args:
        point: what the metric is called with.
        returned: the returned number, or what happened instead.
    """
    preds, target = point
    return ShownCall(_short(preds), _short(target), returned)


def shown_calls(points: Sequence[Point], labels: Labels) -> tuple[ShownCall, ...]:
    """Calls with a large, a middle and a small value, and the first call that failed, if there is any."""
    order = np.argsort(-labels.values)[: int(np.isfinite(labels.values).sum())]
    index = [order[int((1 - quantile) * (len(order) - 1))] for quantile in QUANTILES] if len(order) else []
    calls = [(points[i], f"{labels.values[i]:.6g}") for i in index]
    if labels.problems:
        calls.append((points[int(np.isnan(labels.values).argmax())], labels.problems[0].message))
    return tuple(shown_call(point, returned) for point, returned in calls)


def _short(argument: Any) -> str:
    """An argument in one line."""
    short = reprlib.Repr()
    short.maxother = short.maxstring = short.maxlong = MAX_CHARACTERS
    are_integers = isinstance(argument, list) and argument and isinstance(argument[0], int)
    short.maxlist = MAX_NUMBERS if are_integers else MAX_ITEMS
    return short.repr(_with_short_arrays(argument))


def _with_short_arrays(argument: Any) -> Any:
    if isinstance(argument, np.ndarray | np.number | np.bool_):
        return _ShortArray(np.asarray(argument))
    if isinstance(argument, dict):
        return {name: _with_short_arrays(value) for name, value in argument.items()}
    if isinstance(argument, list | tuple):
        return type(argument)(map(_with_short_arrays, argument))
    return argument


class _ShortArray:
    """An array whose text is its first entries and its shape."""

    def __init__(self, array: np.ndarray) -> None:
        self._array = array

    def __repr__(self) -> str:
        first = self._array.ravel()[:4].tolist()
        entries = [f"{entry:.3g}" if isinstance(entry, float) else str(entry) for entry in first]
        if not self._array.ndim:
            return entries[0]
        more = ", ..." if self._array.size > 4 else ""
        return f"array({', '.join(entries)}{more}; shape {'x'.join(map(str, self._array.shape))})"
