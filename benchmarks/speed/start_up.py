"""How long commands take to start."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from benchmarks.speed._timing import Row, of_process, side_by_side

TITLE = "Start-up"
ABOUT = "\nProcesses from start to end.\n"
BASELINE = "python -c pass"


def measure(device: str) -> Iterator[Row]:
    """Rows of the commands, and of a Python that does nothing."""
    commands = {
        "python -c pass": ["-c", "pass"],
        "autosurrogate --help": ["-m", "autosurrogate", "--help"],
        "autosurrogate metrics": ["-m", "autosurrogate", "metrics"],
        "python -c 'import torch'": ["-c", "import torch"],
    }
    yield from side_by_side("a process", {k: partial(of_process, v) for k, v in commands.items()}, "cpu")
