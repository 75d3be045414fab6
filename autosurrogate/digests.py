"""Telling whether a file, or a metric of one, is still what it was."""

from __future__ import annotations

import hashlib
from pathlib import Path

from autosurrogate.registry import Metric


def of_file(path: str | Path) -> str:
    """What changes with a file, its SHA-256; "" if it cannot be read, which is told where it is read."""
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def of_metric(metric: Metric) -> str | None:
    """What changes with the files of a metric and its parts; None for a metric that is not of a user's file."""
    if metric.parts:
        return " ".join(of_metric(part) or "" for part in metric.parts).strip() or None
    path, colon, _ = (metric.spec or "").partition("?")[0].rpartition(":")
    return of_file(path) if colon and path.endswith(".py") else None
