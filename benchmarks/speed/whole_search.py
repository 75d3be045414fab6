"""A whole search, from the command to the file."""

from __future__ import annotations

import contextlib
import os
import resource
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch

from autosurrogate.export import reader
from benchmarks.speed._timing import Row
from studies.training import _fitting

TITLE = "A whole search"
ABOUT = """
`autosurrogate fit --metric accuracy --trials 100`, start-up, labelling and export included; the paper reports half an
hour for a loss, on a TITAN Xp. *Busy* is the fraction of the time that all cores work, or that nvidia-smi says that the
GPU does; *best* the rank correlation on generated points that nothing was fitted on, in per cent.
"""
BASELINE = ""
N_TRIALS = 100
SAMPLES = ("nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "--loop-ms=250")


def measure(device: str) -> Iterator[Row]:
    """One row."""
    arguments = ("--trials", str(N_TRIALS), "--budget", "30m", "--seed", "0", "--device", device)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "loss.pt"
        with _busy(device) as busy:
            began = time.perf_counter()
            _fitting.fit("accuracy", path, arguments)
            spent = time.perf_counter() - began
        _, metadata = reader.load(path)
    best = 100 * metadata.quality.held_out_generated.loss.spearman
    n_trials = metadata.search.n_complete + metadata.search.n_pruned
    yield Row(
        f"accuracy, {n_trials} trials", "autosurrogate fit", [spent], "search", {"busy": 100 * busy[0], "best": best}
    )


@contextlib.contextmanager
def _busy(device: str) -> Iterator[list[float]]:
    """A list, to which the busy fraction of a device is appended at the end."""
    fractions: list[float] = []
    if device == "cpu":
        began, before = time.perf_counter(), _processor_s()
        yield fractions
        fractions.append((_processor_s() - before) / (time.perf_counter() - began) / (os.cpu_count() or 1))
        return
    number = torch.device(device).index or 0
    with subprocess.Popen([*SAMPLES, f"--id={number}"], stdout=subprocess.PIPE, text=True) as samples:
        try:
            yield fractions
        finally:
            samples.terminate()
        printed, _ = samples.communicate()
    fractions.append(statistics.mean(float(line) / 100 for line in printed.split()))


def _processor_s() -> float:
    """CPU seconds of this process's ended children and of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
