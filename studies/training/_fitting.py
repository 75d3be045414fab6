"""`autosurrogate fit`, as a user runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def fit(metric: str, path: Path, arguments: tuple[str, ...]) -> None:
    """Fit a loss in a process of its own.

    Args:
        metric: as `--metric` takes it.
        path: the file to write.
        arguments: more, of the command line.

    Raises:
        RuntimeError: the fit failed, or refused the loss.
    """
    command = ["fit", "--metric", metric, "--out", str(path), *arguments]
    done = subprocess.run(
        [sys.executable, "-m", "autosurrogate", *command], capture_output=True, text=True, cwd=path.parent
    )
    if done.returncode != 0:
        raise RuntimeError(f"autosurrogate {' '.join(command)}: {done.stderr.strip()}")
