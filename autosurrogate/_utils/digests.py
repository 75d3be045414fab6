"""Telling whether a file, or a metric of one, is still what it was."""

from __future__ import annotations

import hashlib
from pathlib import Path


def of_file(path: str | Path) -> str:
    """What changes with a file, its SHA-256; "" if it cannot be read, which is told where it is read."""
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""
