"""Fixtures that several tests share."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import program
import pytest


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> None:
    """A shell's background jobs ignore SIGINT, and so would the processes that the tests start and interrupt."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real data; what needs it is skipped where it is not there."""
    folder = os.environ.get("AUTOSURROGATE_DATA")
    if not folder:
        pytest.skip("AUTOSURROGATE_DATA is not set")
    if not Path(folder).is_dir():
        pytest.skip(f"AUTOSURROGATE_DATA: {folder} is no folder")
    return Path(folder)


@pytest.fixture(scope="session")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where the program has fitted `accuracy.pt` and printed `fit.txt`; nobody may change it."""
    folder = tmp_path_factory.mktemp("fitted")
    space = program.write(folder / "small.toml", program.SPACE)
    done = program.run("fit", "--metric", "accuracy", "--space", space, "--trials", 2, cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    (folder / "fit.txt").write_text(done.stdout)
    return folder
