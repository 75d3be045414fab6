"""A fit as users start one: `autosurrogate fit` in a process and a folder of its own, and how it ended."""

from __future__ import annotations

import datetime
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from autosurrogate._utils.durations import seconds
from autosurrogate.export import reader

HANGS_S = 180.0  # beyond its budget, after which a fit is ended
GOOD = 0.9  # rank correlation on held-out generated points


def fitted(spec: str, budget: str, *options: str, file: Path | None = None) -> dict[str, Any]:
    """How a fit ended: with a loss and its rank correlations, or with a reason.

    Args:
        spec: what `--metric` takes.
        budget: what `--budget` takes.
        options: further ones of the command line.
        file: copied into the folder of the fit, where a spec finds it by its name.

    Returns:
        A row: `budget`, `date`, `machine`, `code` (the exit code, None if it was ended), `seconds`; and `task`, `loss`
        and `regular` (Spearman's correlations on held-out generated points), or `reason` in one line.
    """
    began, limit_s = time.monotonic(), seconds(budget) + HANGS_S
    row: dict[str, Any] = {
        "budget": budget,
        "date": datetime.date.today().isoformat(),
        "machine": f"{os.cpu_count()} CPU cores, Python {platform.python_version()}, torch {torch.__version__}",
    }
    with tempfile.TemporaryDirectory() as folder:
        if file is not None:
            shutil.copy(file, folder)
        command = [sys.executable, "-m", "autosurrogate", "fit", "--metric", spec, "--budget", budget]
        command += ["--out", "loss.pt", *options]
        try:
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=limit_s)
        except subprocess.TimeoutExpired:
            return {**row, "code": None, "reason": f"not done after {limit_s:.0f} s"}
        row |= {"code": done.returncode, "seconds": round(time.monotonic() - began, 1)}
        if done.returncode != 0:
            return {**row, "reason": reason(done.stderr, folder)}
        _, metadata = reader.load(Path(folder) / "loss.pt")
    held_out = metadata.quality.held_out_generated
    return {
        **row,
        "task": metadata.task,
        "loss": held_out.loss.spearman,
        "regular": held_out.regular_loss.spearman,
    }


def reason(printed: str, folder: str = "") -> str:
    """Why there is no loss: the last line of what was printed, without folders of this machine.

    Args:
        printed: on the stream of errors.
        folder: where the fit ran; its files are left with their names alone.
    """
    last = (printed.strip().splitlines() or [""])[-1].removeprefix("autosurrogate: ")
    if folder:
        for place in sorted((folder, os.path.realpath(folder)), key=len, reverse=True):  # one may be within the other
            last = last.replace(f"{place}/", "")
    return re.sub(r"[^\s(]*/site-packages/", "", last)


def line(names: Sequence[str], row: Mapping[str, Any]) -> str:
    """A line of a table: what was fitted, both correlations in per cent, and the reason where there is none."""
    if "reason" in row:
        figures = ("", "", row["reason"].replace("|", "/"))
    else:
        figures = (f"{100 * row['loss']:.1f}", f"{100 * row['regular']:.1f}", "")
    return "|" + "".join(f" {cell} |" if cell else " |" for cell in (*names, *figures))


def counted(measured: Sequence[Mapping[str, Any]]) -> tuple[int, int]:
    """How many rows are of fits at `GOOD` or more, and of refusals."""
    return sum(row.get("loss", 0) >= GOOD for row in measured), sum("reason" in row for row in measured)
