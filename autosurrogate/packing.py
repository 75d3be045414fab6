"""Points on their way to a worker: pickled, but for their arrays, which travel together.

A set of images is many small arrays, of which each takes longer to pickle, and far longer to unpickle, than to cut out
of a large one.
"""

from __future__ import annotations

import io
import pickle
import threading
from typing import Any

SMALL = 65_536  # numbers; larger arrays are pickled as they are


def packed(points: Any) -> bytes:
    """What `unpacked` makes the points of again.

    Arrays of numbers of one kind, of the same shape but for the first axis, are laid end to end.

    Raises:
        Exception: whatever pickling raises.
    """
    file = io.BytesIO()
    pickler = _Pickler(file)
    pickler.dump(points)
    return pickle.dumps((pickler.joined(), file.getvalue()), pickle.HIGHEST_PROTOCOL)


def unpacked(content: bytes) -> Any:
    """The points; arrays are their own to write in, and share nothing but a block of memory."""
    joined, pickled = pickle.loads(content)
    _OPEN.joined = joined
    try:
        return pickle.loads(pickled)
    finally:
        _OPEN.joined = None


_OPEN = threading.local()  # the blocks of what a thread is unpacking


def _cut(number: int, start: int, end: int) -> Any:
    return _OPEN.joined[number][start:end]


class _Pickler(pickle.Pickler):
    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self._blocks: dict[tuple[Any, ...], tuple[int, list[Any]]] = {}  # number and arrays of each kind
        self._ends: list[int] = []

    def reducer_override(self, thing: Any) -> Any:  # asked of all that are no plain Python objects
        kind = type(thing)
        if kind.__name__ != "ndarray" or kind.__module__ != "numpy":  # known without importing it
            return NotImplemented
        shape = thing.shape
        if not shape or thing.dtype.kind not in "biuf" or not thing.dtype.isnative or thing.size > SMALL:
            return NotImplemented
        number, arrays = self._blocks.setdefault((thing.dtype, *shape[1:]), (len(self._blocks), []))
        if not arrays:
            self._ends.append(0)
        arrays.append(thing)
        start = self._ends[number]
        self._ends[number] = end = start + shape[0]
        return _cut, (number, start, end)

    def joined(self) -> list[Any]:
        if not self._blocks:
            return []
        import numpy as np

        return [np.concatenate(arrays) for _, arrays in self._blocks.values()]
