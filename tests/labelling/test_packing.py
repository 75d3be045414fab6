from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import torch

from autosurrogate.labelling import packing


def same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray):
        return type(a) is type(b) and a.dtype == b.dtype and a.shape == b.shape and np.array_equal(a, b)
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    return bool(a == b)


ARRAYS = [
    np.arange(6).reshape(2, 3),
    np.arange(3, dtype=np.int32),
    np.zeros((0, 4)),
    np.ones((5, 4)),
    np.float32(2.5),
    np.array(1.5),
    np.array(["a", "bc"]),
    np.array([None, {"x": 1}], dtype=object),
    np.array([True, False]),
    np.asfortranarray(np.arange(12.0).reshape(3, 4)),
    np.arange(20)[::3],
    np.zeros(packing.SMALL + 1, np.int8),
    np.array([1 + 2j]),
    np.arange(4, dtype=">i4"),
    np.datetime64("2020-01-01"),
]


def test_points_come_out_as_they_went_in() -> None:
    points = [({"boxes": a, "more": [a, "text", 3]}, (a, None)) for a in ARRAYS]
    assert same(packing.unpack(packing.pack(points)), points)
    plain = [("a b", ["a", "b"]), (1, 2.5)]
    assert packing.unpack(packing.pack(plain)) == plain


def test_what_is_one_array_stays_one_and_others_do_not_meet() -> None:
    one, other = np.arange(4.0), np.arange(4.0)
    a, b, c = packing.unpack(packing.pack([one, one, other]))
    a[:] = -1
    assert b is a
    assert c.tolist() == [0, 1, 2, 3]


def test_many_small_arrays_take_fewer_bytes_than_one_by_one() -> None:
    points = [np.ones((3, 4), np.float32) for _ in range(1000)]
    assert len(packing.pack(points)) < 0.9 * len(pickle.dumps(points, pickle.HIGHEST_PROTOCOL))


def test_subclasses_and_tensors_are_left_to_pickle() -> None:
    masked, tensor = packing.unpack(packing.pack([np.ma.masked_array([1, 2], [True, False]), torch.ones(2)]))
    assert masked.mask.tolist() == [True, False]
    assert tensor.tolist() == [1, 1]


def test_what_cannot_be_pickled_is_told_by_pickle() -> None:
    with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
        packing.pack([lambda: 0])
    assert packing.unpack(packing.pack([1])) == [1]
