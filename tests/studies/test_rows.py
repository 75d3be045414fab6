from __future__ import annotations

from pathlib import Path
from typing import Any

from studies import rows

MEASURED: list[dict[str, Any]] = [
    {"arm": {"name": "a", "metric": ""}, "seed": 0, "test": None, "curve": {}},
    {"arm": {"name": "b", "metric": "f1"}, "seed": 0, "test": {"f1": 0.1, "auc": 0.5}, "curve": {"0": {"f1": 0.2}}},
    {"arm": {"name": "b", "metric": "f1"}, "seed": 1, "test": {"f1": 0.3, "auc": 0.5}, "curve": {"0": {"f1": 0.4}}},
    {"arm": {"name": "b", "metric": "f1"}, "seed": 2, "test": {"f1": 0.3}, "curve": {}},
    {"arm": {"name": "c", "metric": "f1"}, "seed": 2, "test": {"f1": 0.3}, "curve": {}},
    {"arm": {"name": "c", "metric": "f1"}, "seed": 2, "test": {"f1": 0.3}, "curve": {}},
]


def test_compact_rows_are_read_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    rows.write_compact(path, MEASURED, lambda row: tuple(row["arm"].values()))
    assert list(rows.read(path)) == MEASURED
    assert len(path.read_text().splitlines()) == 4  # b has two: its rows have other keys


def test_rows_are_appended_to_compact_ones(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    rows.write_compact(path, MEASURED, lambda row: tuple(row["arm"].values()))
    rows.append(path, MEASURED[0])
    assert list(rows.read(path)) == [*MEASURED, MEASURED[0]]
