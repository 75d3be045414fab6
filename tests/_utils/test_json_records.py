from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from autosurrogate._utils.json_records import RecordError, from_plain, to_plain


@dataclass(frozen=True)
class Inner:
    ratio: float
    pair: tuple[float, float] = (0.0, 1.0)


@dataclass(frozen=True)
class Outer:
    count: int
    name: str
    good: bool
    kind: Literal["a", "b"]
    settings: Mapping[str, Any]
    counts: Mapping[str, int]
    inner: Inner | None
    several: tuple[Inner, ...]


OUTER = Outer(1, "Maß", True, "b", {"width": [1, 2]}, {"nan": 3}, None, (Inner(0.5), Inner(1.0, (2.0, 3.0))))


def changed(**changes: Any) -> dict[str, Any]:
    return {**to_plain(OUTER), **changes}


def test_a_record_survives_json() -> None:
    assert from_plain(Outer, json.loads(json.dumps(to_plain(OUTER), allow_nan=False))) == OUTER


def test_nan_is_null_and_null_is_nan() -> None:
    assert to_plain(Inner(math.nan, (-math.inf, 1.0))) == {"ratio": None, "pair": [None, 1.0]}
    read = from_plain(Inner, {"ratio": None, "pair": [None, 1]})
    assert math.isnan(read.ratio)
    assert math.isnan(read.pair[0])


def test_a_field_with_a_default_may_be_missing() -> None:
    assert from_plain(Inner, {"ratio": 2}) == Inner(2.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"count": "x"}, "key 'count': expected an integer, got 'x'"),
        ({"count": True}, "key 'count': expected an integer, got True"),
        ({"count": 1.5}, "key 'count': expected an integer, got 1.5"),
        ({"name": None}, "key 'name': expected a string, got None"),
        ({"good": 1}, "key 'good': expected true or false, got 1"),
        ({"kind": "c"}, "key 'kind': expected 'a' or 'b', got 'c'"),
        ({"settings": []}, "key 'settings': expected an object, got []"),
        ({"counts": {"nan": "3"}}, "key 'counts.nan': expected an integer, got '3'"),
        ({"inner": 3}, "key 'inner': expected an object, got 3"),
        ({"inner": {"ratio": True}}, "key 'inner.ratio': expected a number, got True"),
        ({"inner": {}}, "key 'inner.ratio' is missing: expected a number"),
        ({"inner": {"ratio": 1.0, "pair": [1.0]}}, "key 'inner.pair': expected an array of 2, got [1.0]"),
        ({"several": {}}, "key 'several': expected an array, got {}"),
        ({"several": [{"ratio": 1.0}, {"ratio": "1"}]}, "key 'several[1].ratio': expected a number, got '1'"),
        ({"inner": {"ratio": 1.0, "width": 2}}, "key 'inner.width' is unknown: expected one of ratio, pair"),
        ({"name": list(range(100))}, f"key 'name': expected a string, got {str(list(range(100)))[:57]}..."),
    ],
)
def test_what_has_another_type_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(RecordError) as caught:
        from_plain(Outer, changed(**changes))
    assert str(caught.value) == message


def test_what_is_no_object_is_refused() -> None:
    with pytest.raises(RecordError, match=r"^expected an object, got \[\]$"):
        from_plain(Inner, [])
