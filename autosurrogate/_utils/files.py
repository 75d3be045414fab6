"""Files that are either whole or absent."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def temporary_path(path: Path, writer: str | None = None) -> Path:
    """Where a file is written before it replaces `path`.

    Args:
        path: the file.
        writer: a name for each process that may write the file at the same time as others. The path then also keeps
            the ending of `path`, which some formats need.

    >>> str(temporary_path(Path("loss.pt"))), str(temporary_path(Path("loss.pt"), "7"))
    ('loss.pt.part', '.loss.7.part.pt')
    """
    return path.with_name(f"{path.name}.part" if writer is None else f".{path.stem}.{writer}.part{path.suffix}")


@contextlib.contextmanager
def atomic_write(path: Path, *, writer: str | None = None, fsync: bool = False) -> Iterator[Path]:
    """Give a temporary path to write to, whose file then replaces `path` in one step.

    An exception removes the temporary file and leaves `path` as it was. What a killed process leaves is replaced when
    the same writer writes the file again.

    Args:
        path: the file.
        writer: see `temporary_path`.
        fsync: whether the content is on disk before `path` is replaced, and the new entry of the folder afterwards.
    """
    temporary = temporary_path(path, writer)
    try:
        yield temporary
        if fsync:
            _fsync(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    if fsync and os.name == "posix":  # elsewhere a folder cannot be opened
        _fsync(path.parent)


def write_json(path: Path, content: Any) -> None:
    """Write `content` so that the file is either the old one or the whole new one."""
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
