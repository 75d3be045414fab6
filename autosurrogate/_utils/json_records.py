"""Typed records as JSON values: dataclasses to plain values, and back with every value checked."""

from __future__ import annotations

import functools
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields, is_dataclass
from typing import Any, Literal, TypeVar, cast

from autosurrogate._utils.json_values import without_nan

Record = TypeVar("Record")

_WORDS = {bool: "true or false", int: "an integer", float: "a number", str: "a string"}


class RecordError(ValueError):
    """A value does not have the type that its record declares; the message names the key."""


def to_plain(record: Any) -> dict[str, Any]:
    """A dataclass as JSON has it: an object for a dataclass, an array for a tuple, null for NaN."""
    return cast(dict[str, Any], without_nan(asdict(record)))


def from_plain(kind: type[Record], value: Any, key: str = "") -> Record:
    """The dataclass that `to_plain` gave a value of.

    Args:
        kind: the dataclass. Its fields may be bool, int, float, str, None, Literal, Any, tuples, mappings with string
            keys, other such dataclasses, and unions with None.
        value: what `json.loads` gave. Null stands for NaN where a number is expected.
        key: where the value stands in a larger object, for messages, such as `search.`.

    Raises:
        RecordError: a key is missing or unknown, or a value has another type.

    >>> from dataclasses import dataclass
    >>> @dataclass
    ... class Size:
    ...     width: int
    >>> from_plain(Size, {"width": "wide"})
    Traceback (most recent call last):
    autosurrogate._utils.json_records.RecordError: key 'width': expected an integer, got 'wide'
    """
    if not isinstance(value, dict):
        raise _unexpected(key.removesuffix("."), "an object", value)
    types_of = _types(cast(Any, kind))
    for field in fields(kind):  # type: ignore[arg-type]  # mypy does not know that it is a dataclass
        if field.name not in value and field.default is MISSING and field.default_factory is MISSING:
            raise RecordError(f"key '{key}{field.name}' is missing: expected {_words(types_of[field.name])}")
    unknown = next((name for name in value if name not in types_of), None)
    if unknown is not None:
        raise RecordError(f"key '{key}{unknown}' is unknown: expected one of {', '.join(types_of)}")
    return kind(**{name: _read(types_of[name], entry, f"{key}{name}") for name, entry in value.items()})


@functools.cache
def _types(kind: Any) -> dict[str, Any]:
    type_hints = typing.get_type_hints(kind)
    return {field.name: type_hints[field.name] for field in fields(kind)}


def _read(kind: Any, value: Any, key: str) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return value
    if is_dataclass(kind):
        return from_plain(cast(type[Any], kind), value, f"{key}.")
    if origin in (types.UnionType, typing.Union):
        (inner,) = (argument for argument in arguments if argument is not types.NoneType)
        return None if value is None else _read(inner, value, key)
    if origin is tuple and isinstance(value, list):
        if arguments[-1] is ...:
            return tuple(_read(arguments[0], entry, f"{key}[{i}]") for i, entry in enumerate(value))
        if len(value) == len(arguments):
            return tuple(_read(arguments[i], entry, f"{key}[{i}]") for i, entry in enumerate(value))
    elif isinstance(origin, type) and issubclass(origin, Mapping) and isinstance(value, dict):
        return {name: _read(arguments[1], entry, f"{key}.{name}") for name, entry in value.items()}
    elif origin is Literal and value in arguments:
        return value
    elif kind is float and (value is None or (isinstance(value, int | float) and not isinstance(value, bool))):
        return math.nan if value is None else float(value)
    elif kind in (bool, str) and isinstance(value, kind):
        return value
    elif kind is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    raise _unexpected(key, _words(kind), value)


def _unexpected(key: str, expected: str, value: Any) -> RecordError:
    shown = repr(value)
    shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
    return RecordError(f"{f'key {key!r}: ' if key else ''}expected {expected}, got {shown}")


def _words(kind: Any) -> str:
    """A type in words."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return " or ".join("null" if argument is types.NoneType else _words(argument) for argument in arguments)
    if origin is tuple:
        return "an array" if arguments[-1] is ... else f"an array of {len(arguments)}"
    if origin is Literal:
        return " or ".join(map(repr, arguments))
    return _WORDS.get(kind, "any value" if kind is Any else "an object")
