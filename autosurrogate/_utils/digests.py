"""Digests of files, which show whether a file has changed."""

from __future__ import annotations

import hashlib
from pathlib import Path


def of_file(path: str | Path) -> str:
    """The SHA-256 of a file; "" if it cannot be read, which is reported where it is read."""
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""
