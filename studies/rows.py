"""Rows of measured results: a file of JSON lines, each a row, or many rows that have much in common."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

Row = Mapping[str, Any]


def read(path: Path) -> Iterator[dict[str, Any]]:
    """The rows measured so far; none if there is no file."""
    if path.exists():
        for line in map(json.loads, path.read_text(encoding="utf-8").splitlines()):
            yield from _unpack(line) if "shared" in line else (line,)


def append(path: Path, row: Row) -> None:
    """Add a row."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def write_compact(path: Path, rows: Iterable[Row], group: Callable[[Row], Any]) -> None:
    """Replace the rows of a file; `read` gives the same ones, those of a group side by side.

    Args:
        path: the file.
        rows: all that it is to have.
        group: a hashable value, equal for rows that share a line if they have the same keys, too.
    """
    groups: dict[Any, list[Row]] = {}
    for row in rows:
        groups.setdefault((group(row), _keys(row)), []).append(row)
    packed = [_pack(members) if len(members) > 1 else members[0] for members in groups.values()]
    lines = [json.dumps(line, separators=(",", ":")) for line in packed]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _keys(row: Row) -> tuple[Any, ...]:
    return tuple((key, _keys(row[key]) if isinstance(row[key], Mapping) else None) for key in sorted(row))


def _pack(rows: Sequence[Row]) -> dict[str, Any]:
    """`shared` has the values that all rows have, `each` a list of values for each other key."""
    shared: dict[str, Any] = {}
    each: dict[str, Any] = {}
    for key, first in rows[0].items():
        values = [row[key] for row in rows]
        if all(value == first for value in values):
            shared[key] = first
        else:
            each[key] = _pack(values) if isinstance(first, Mapping) else values
    return {"n_rows": len(rows), "shared": shared, "each": each}


def _unpack(packed: Row) -> list[dict[str, Any]]:
    each = {key: _unpack(column) if isinstance(column, dict) else column for key, column in packed["each"].items()}
    return [{**packed["shared"], **{key: values[i] for key, values in each.items()}} for i in range(packed["n_rows"])]
