"""A run that is killed, at any moment and again and again, and resumed."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import program
import pytest
import torch

from autosurrogate import tasks
from autosurrogate.points.labelled_set import LabelledSet

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name != "posix", reason="SIGKILL")]

# Notes what it is called on, by a digest a line.
NOTING = """
import hashlib
import os

import numpy as np

from autosurrogate import metric

CALLS = os.path.join(os.path.dirname(__file__), "calls.txt")


@metric("noting", task="classification", set_size=16, view="probabilities")  # of which no two sets are alike
def noting(preds: np.ndarray, target: np.ndarray) -> float:
    line = hashlib.md5(preds.tobytes() + target.tobytes()).hexdigest() + "\\n"
    with open(CALLS, "a") as file:
        file.write(line)
    return float((preds.argmax(1) == target).mean())
"""

# The program, which kills itself with SIGKILL just before it renames a file of that name (or to that name).
KILLED = """
import os, signal, sys

name, left = sys.argv[1], int(sys.argv[2])

def hook(event, arguments):
    global left
    if event == "os.rename" and name in map(os.path.basename, map(os.fspath, arguments[:2])):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(hook)
from autosurrogate.cli.main import main
sys.exit(main(sys.argv[3:]))
"""


class Run:
    """A folder with a metric that notes its calls, and the run that is being killed in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.run_dir = folder / "run"
        program.write(folder / "my_metrics.py", NOTING)
        self.space = program.write(folder / "small.toml", program.SPACE)
        self.began = ["fit", "--metric", "my_metrics.py:noting", "--space", "small.toml", "--trials", "2", "--out",
                      "loss.pt", "--run-dir", "run", "--workers", "1"]  # fmt: skip

    def calls(self) -> list[str]:
        """Digests of the points the metric was called on so far."""
        file = self.folder / "calls.txt"
        return file.read_text().splitlines() if file.exists() else []

    def chunks(self) -> dict[str, tuple[int, int]]:
        """The finished chunks: file to what changes when it is written anew."""
        files = (self.run_dir / "labelled").glob("*.safetensors")
        return {p.name: (p.stat().st_ino, p.stat().st_mtime_ns) for p in files}

    def points(self) -> set[str]:
        """Digests of the points of the finished chunks."""
        labelled, task = LabelledSet(self.run_dir / "labelled"), tasks.get("classification")
        found: set[str] = set()
        for split in ("train",):  # the others serve in the descent check, too
            for chunk in labelled.chunks(split):
                for preds, target in task.points(chunk.examples, "probabilities", chunk.set_size):
                    found.add(hashlib.md5(preds.tobytes() + target.tobytes()).hexdigest())
        return found

    def spent_s(self) -> float:
        """Seconds on the clock of the run."""
        clock = self.run_dir / "clock.json"
        return float(json.loads(clock.read_text())["spent_s"]) if clock.exists() else 0.0

    def killed_before(self, name: str, times: int = 1, *arguments: str) -> None:
        """Start or resume it, and have it killed before it renames a file for that many times."""
        arguments = arguments or ("fit", "--resume", str(self.run_dir), "--quiet")
        self._check(program.run_code(KILLED, name, times, *arguments, cwd=self.folder))

    def _check(self, done: subprocess.CompletedProcess[str]) -> None:
        assert done.returncode == -signal.SIGKILL, done.stderr


def trial_states(run: Run) -> Iterator[int]:
    """The states of trials as they were told to the study, in the order of telling (1 complete, 2 pruned, 3 failed)."""
    for line in (run.run_dir / "study.journal").read_text().splitlines():
        entry = json.loads(line)
        if entry["op_code"] == 6:
            yield entry["state"]


@pytest.mark.slow
def test_a_run_killed_at_any_moment_goes_on_and_labels_no_finished_chunk_twice(tmp_path: Path) -> None:
    run = Run(tmp_path)

    # While it labels.
    run.killed_before("train-0003.safetensors", 1, *run.began)
    finished, points, n_calls = run.chunks(), run.points(), len(run.calls())
    assert 4 <= len(finished) < 30
    spent = [run.spent_s()]

    # A loss that someone else wrote meanwhile is not replaced.
    (tmp_path / "loss.pt").write_text("another's")
    refused = program.run("fit", "--resume", run.run_dir, cwd=tmp_path)
    assert refused.returncode == 2
    assert "loss.pt: exists already" in refused.stderr
    assert (tmp_path / "loss.pt").read_text() == "another's"
    (tmp_path / "loss.pt").unlink()

    # When a trial is trained, and not yet told; then while Optuna's lock is held.
    run.killed_before("0000.pt")
    assert len(run.chunks()) >= 24  # those of the test are labelled meanwhile
    assert run.chunks().items() >= finished.items()
    assert not points & set(run.calls()[n_calls:])
    finished, points, n_calls = run.chunks(), run.points(), len(run.calls())
    spent.append(run.spent_s())
    run.killed_before("study.journal.lock", 5)
    assert list(run.run_dir.glob("study.journal.lock"))
    spent.append(run.spent_s())

    # At the export: before the first file, and between the two.
    run.killed_before("loss.pt2")
    assert not (tmp_path / "loss.pt2").exists()
    spent.append(run.spent_s())
    run.killed_before("loss.pt")
    assert (tmp_path / "loss.pt2").exists()
    assert not (tmp_path / "loss.pt").exists()
    spent.append(run.spent_s())

    # It finishes, in its own place from wherever it is resumed; the search space it began with is its own.
    run.space.unlink()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    done = program.run("fit", "--resume", run.run_dir, cwd=elsewhere)
    assert (done.returncode, done.stderr) == (0, "")
    assert list(elsewhere.iterdir()) == []
    assert not list(tmp_path.glob(".*"))
    assert run.chunks().items() >= finished.items()
    finished = run.chunks()
    assert len(finished) == 30
    assert not points & set(run.calls()[n_calls:])
    assert list(trial_states(run)).count(1) == 2
    spent.append(run.spent_s())
    assert spent == sorted(spent)
    assert spent[-1] - spent[0] > 1.0
    loss = program.load(tmp_path / "loss.pt")
    preds, target = torch.randn(32, 7), torch.randint(7, (32,))
    expected = loss(preds, target)

    # Once more is harmless.
    done = program.run("fit", "--resume", run.run_dir, "--quiet", cwd=elsewhere)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert run.chunks() == finished
    assert list(trial_states(run)).count(1) == 2
    assert program.load(tmp_path / "loss.pt")(preds, target) == expected

    # An edited metric is another metric.
    (tmp_path / "my_metrics.py").write_text(NOTING.replace(".mean()", ".mean() ** 2"))
    refused = program.run("fit", "--resume", run.run_dir, cwd=elsewhere)
    assert refused.returncode == 2
    assert "the file of metric 'noting' has changed since its points were labelled; start a new run" in refused.stderr


def test_a_run_killed_in_the_middle_of_a_trial_goes_on(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.space.write_text(program.SPACE.replace("n_steps = 60", "n_steps = 3000"))
    journal = run.run_dir / "study.journal"
    with subprocess.Popen(
        program.command(*run.began[:5], "--budget", "10s", *run.began[7:], "--quiet"),
        cwd=tmp_path, env=program.ENVIRONMENT,
    ) as process:  # fmt: skip
        limit = time.monotonic() + 60
        while not (journal.exists() and '"intermediate_value"' in journal.read_text()):  # a checkpoint of a trial
            assert process.poll() is None
            assert time.monotonic() < limit
            time.sleep(0.01)
        process.kill()
    finished, points, n_calls, spent_s = run.chunks(), run.points(), len(run.calls()), run.spent_s()

    begun = time.monotonic()
    done = program.run(
        "fit", "--resume", "run", "--force", cwd=tmp_path
    )  # what time is left may not do for a good loss
    assert (done.returncode, done.stderr) == (0, "")
    assert next(trial_states(run)) == 3  # the killed one
    assert run.chunks() == finished
    assert not points & set(run.calls()[n_calls:])
    # The budget is the run's: what is left of it ends the search, though no number of trials does.
    assert spent_s < run.spent_s() < 25
    assert time.monotonic() - begun < 25
