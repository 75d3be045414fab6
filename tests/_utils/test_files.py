from __future__ import annotations

import os
from pathlib import Path

import pytest

from autosurrogate._utils.files import atomic_write, temporary_path

each_way = pytest.mark.parametrize(("writer", "fsync"), [(None, False), (None, True), ("7", False), ("7", True)])


@each_way
def test_a_file_is_replaced_when_it_is_whole(tmp_path: Path, writer: str | None, fsync: bool) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")
    with atomic_write(path, writer=writer, fsync=fsync) as temporary:
        temporary.write_text("new")
        assert temporary == temporary_path(path, writer)
        assert path.read_text() == "old"
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {"a.json": "new"}


@each_way
def test_an_exception_leaves_the_old_file_alone(tmp_path: Path, writer: str | None, fsync: bool) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_write(path, writer=writer, fsync=fsync) as temporary:  # noqa: PT012
        temporary.write_text("half")
        raise ZeroDivisionError
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {"a.json": "old"}


def test_what_a_killed_writer_left_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    temporary_path(path).write_text("half")
    with atomic_write(path) as temporary:
        temporary.write_text("new")
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {"a.json": "new"}


def test_writers_do_not_share_a_temporary_file(tmp_path: Path) -> None:
    paths = {temporary_path(tmp_path / "a.npz", writer) for writer in (None, "1", "2")}
    assert len(paths) == 3
    assert temporary_path(tmp_path / "a.npz", "1").suffix == ".npz"


def test_the_content_is_on_disk_before_the_file_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda descriptor: (calls.append("fsync"), fsync(descriptor)))
    monkeypatch.setattr(os, "replace", lambda source, path: (calls.append("replace"), replace(source, path)))
    with atomic_write(tmp_path / "a", fsync=True) as temporary:
        temporary.write_text("new")
    assert calls == ["fsync", "replace", "fsync"]
