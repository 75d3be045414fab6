"""Fixtures that several tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real data; what needs it is skipped where it is not there."""
    folder = os.environ.get("AUTOSURROGATE_DATA")
    if not folder:
        pytest.skip("AUTOSURROGATE_DATA is not set")
    if not Path(folder).is_dir():
        pytest.skip(f"AUTOSURROGATE_DATA: {folder} is no folder")
    return Path(folder)
