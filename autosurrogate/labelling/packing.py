"""Points as bytes for a worker: pickled, with their small arrays joined to large ones.

A set of images is many small arrays. Each takes longer to pickle, and far longer to unpickle, than to slice out of a
large array.
"""

from __future__ import annotations

import io
import operator
import pickle
import threading
from itertools import pairwise
from typing import Any

SMALL = 65_536  # numbers; larger arrays are pickled as they are


def pack(points: Any) -> bytes:
    """Points as bytes, see `unpack`.

    Arrays of numbers of one kind, of the same shape but for the first axis, are joined end to end.

    Raises:
        Exception: whatever pickling raises.
    """
    file = io.BytesIO()
    pickler = _Pickler(file)
    pickler.dump(points)
    return pickle.dumps((pickler.joined(), file.getvalue()), pickle.HIGHEST_PROTOCOL)


def unpack(content: bytes) -> Any:
    """The points that were packed. Their arrays can be written to, and do not overlap in memory."""
    joined, pickled = pickle.loads(content)
    _UNPACKING.blocks = [[array[start:end] for start, end in pairwise(ends)] for array, ends in joined]
    try:
        return pickle.loads(pickled)
    finally:
        _UNPACKING.blocks = None


_UNPACKING = threading.local()  # the arrays of the blocks that a thread is unpacking


def _arrays_of(number: int) -> Any:
    return _UNPACKING.blocks[number]


class _Block:
    """The `number`-th kind of arrays, and where each ends when they are laid end to end.

    In a pickle it stands, once, for the list of its arrays. Each is then taken out without running Python code.
    """

    def __init__(self, number: int) -> None:
        self.number, self.arrays, self.ends = number, list[Any](), [0]

    def __reduce__(self) -> Any:
        return _arrays_of, (self.number,)


class _Pickler(pickle.Pickler):
    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self._blocks: dict[tuple[Any, ...], _Block] = {}

    def reducer_override(self, value: Any) -> Any:  # called for all that are not plain Python objects
        kind = type(value)
        if kind.__name__ != "ndarray" or kind.__module__ != "numpy":  # checked without importing it
            return NotImplemented
        dtype, shape = value.dtype, value.shape
        if not shape or dtype.kind not in "biuf" or not dtype.isnative or value.size > SMALL:
            return NotImplemented
        of_kind = (dtype.char, *shape[1:])
        block = self._blocks.get(of_kind)
        if block is None:
            block = self._blocks[of_kind] = _Block(len(self._blocks))
        index = len(block.arrays)
        block.arrays.append(value)
        block.ends.append(block.ends[index] + shape[0])
        return operator.getitem, (block, index)

    def joined(self) -> list[Any]:
        """Of each block the arrays end to end, and where each begins and ends."""
        if not self._blocks:
            return []
        import numpy as np  # a worker whose points hold no arrays starts quicker without it

        return [(np.concatenate(block.arrays), block.ends) for block in self._blocks.values()]
