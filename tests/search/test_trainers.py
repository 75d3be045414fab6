"""Trials that run side by side, in processes of their own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import optuna
import program
import pytest
import torch
from generated_points import ACCURACY, CPU, TASK, labelled
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from autosurrogate.evaluation.descent import DescentPath
from autosurrogate.points.labelled_points import Points
from autosurrogate.processes.worker_process import WorkerLost
from autosurrogate.search import search_space
from autosurrogate.search.trainer_worker import Setup
from autosurrogate.search.trainers import SetupNotShared, Trainers
from autosurrogate.search.trial import Job, Outcome
from autosurrogate.training.loop import Settings

finds_children = pytest.mark.skipif(not Path("/proc").exists(), reason="finds children by /proc")

SPACE = search_space.parse(program.SPACE, TASK, "the space")
SETTINGS = Settings(n_steps=40, batch_points=16, learning_rate=0.01, weight_decay=1e-4, penalty=0.1)
NETWORK = {"temperatures": [0.3, 0.03], "n_competitors": 3, "width": 8, "n_outputs": 4}

# Accuracy of small sets, and a network that is exported soon.
HITS = """
from autosurrogate import metric


@metric("hits", task="classification", set_size=8)
def hits(preds, target):
    return (preds == target).mean()
"""
SMALL_SPACE = f"""
{program.SPACE.split("[networks")[0]}
[networks.target_probability]
width = 8
n_hidden = 1
"""


@pytest.fixture(scope="module")
def setup() -> Setup:
    points = Points([labelled(0, 40), labelled(1, 40)], [labelled(2, 40)], [], [])
    descent_path = DescentPath([labelled(3)], 1.0, 1.0)
    return Setup(TASK, ACCURACY, SPACE, points, descent_path, CPU, dict.fromkeys(SPACE.networks, 60.0))


def job(seed: int, **changed: Any) -> Job:
    return Job(**{"seed": seed, "network": "margin", "network_settings": NETWORK, "settings": SETTINGS,
                  "thresholds": {}, "limit_s": 60.0, **changed})  # fmt: skip


def same(a: Outcome, b: Outcome) -> bool:
    assert a.fitted is not None
    assert b.fitted is not None
    alike = a.correlations == b.correlations and a.fitted.validation_spearman == b.fitted.validation_spearman
    descended = all(
        (p == q).all() and (t == u).all() for (p, t), (q, u) in zip(a.fitted.descended, b.fitted.descended, strict=True)
    )
    return alike and descended and all(torch.equal(v, b.fitted.state[k]) for k, v in a.fitted.state.items())


@pytest.mark.usefixtures("two_threads")
@pytest.mark.slow
def test_a_trial_comes_to_the_same_wherever_it_runs(setup: Setup, tmp_path: Path) -> None:
    jobs = [job(seed) for seed in range(4)]
    n_threads = torch.get_num_threads()
    with Trainers(setup, 1, tmp_path) as here:
        alone = [here.submit(one).result() for one in jobs]
    assert torch.get_num_threads() == n_threads
    assert not list(tmp_path.iterdir())
    with Trainers(setup, 2, tmp_path) as aside:
        together = [future.result() for future in [aside.submit(one) for one in jobs]]
        (shared,) = tmp_path.iterdir()
        assert {path.name for path in shared.iterdir()} == {"points.pt", "margin.pt"}
    assert not list(tmp_path.iterdir())
    assert all(map(same, alone, together))
    assert not same(alone[0], alone[1])


@pytest.mark.slow
def test_what_a_trial_raises_is_raised_with_its_place(setup: Setup, tmp_path: Path) -> None:
    with Trainers(setup, 2, tmp_path) as trainers:
        with pytest.raises(TypeError, match="unexpected keyword argument 'widht'") as raised:
            trainers.submit(job(0, network_settings={"widht": 8})).result()
        assert "trial.py" in "".join(raised.value.__notes__)
        assert trainers.submit(job(0)).result().fitted is not None  # the process goes on


@finds_children
@pytest.mark.slow
def test_a_process_that_is_killed_is_reported_and_another_takes_its_place(setup: Setup, tmp_path: Path) -> None:
    endless = job(0, settings=Settings(**{**vars(SETTINGS), "n_steps": 10**6, "patience": 1.0}))
    with Trainers(setup, 2, tmp_path) as trainers:
        lost = trainers.submit(endless)
        while not (started := trainers_of(os.getpid())):
            time.sleep(0.01)
        os.kill(started[0], signal.SIGKILL)
        with pytest.raises(WorkerLost, match="signal SIGKILL"):
            lost.result()
        assert trainers.submit(job(1)).result().fitted is not None


@finds_children
def test_leaving_ends_what_runs(setup: Setup, tmp_path: Path) -> None:
    endless = job(0, settings=Settings(**{**vars(SETTINGS), "n_steps": 10**6, "patience": 1.0}))
    with Trainers(setup, 2, tmp_path) as trainers:
        running = [trainers.submit(endless) for _ in range(3)]
        while not (started := trainers_of(os.getpid())):
            time.sleep(0.01)
        time.sleep(0.5)
    assert all(future.cancelled() or isinstance(future.exception(), WorkerLost) for future in running)
    assert started
    assert trainers_of(os.getpid()) == []


def test_training_ends_when_the_time_is_up_or_it_is_hopeless(setup: Setup, tmp_path: Path) -> None:
    long = Settings(**{**vars(SETTINGS), "n_steps": 10**6, "patience": 1.0})
    with Trainers(setup, 1, tmp_path) as trainers:
        cut = trainers.submit(job(0, settings=long, limit_s=0.0)).result()
        assert list(cut.correlations) == [20]
        assert cut.fitted is not None
        pruned = trainers.submit(job(0, settings=long, thresholds={20: -1.0, 40: 1.1})).result()
        assert list(pruned.correlations) == [20, 40]
        assert pruned.fitted is None


@pytest.mark.slow
def test_a_search_comes_to_the_same_however_many_trials_run_at_a_time(tmp_path: Path) -> None:
    program.write(tmp_path / "hits.py", HITS)
    program.write(tmp_path / "small.toml", SMALL_SPACE.replace("penalty = 0.1", "penalty = [0.1, 1.0]"))
    found = []
    for n_workers in (1, 2):
        run = f"run-{n_workers}"
        done = program.run(
            "fit", "--metric", "hits.py", "--space", "small.toml", "--trials", 5, "--workers", n_workers, "--run-dir",
            run, "--out", f"{run}.pt", "--force", cwd=tmp_path, new_interpreter=n_workers == 1,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
        assert [
            path for path in (tmp_path / run).iterdir() if path.is_dir() and path.name not in ("labelled", "trials")
        ] == []
        trials = trials_of(tmp_path / run)
        assert len(trials) == 5
        found.append([(t.params, t.values, t.intermediate_values, t.state) for t in trials])
    assert found[0] == found[1]
    losses = [program.load(tmp_path / f"run-{n_workers}.pt") for n_workers in (1, 2)]
    preds, target = torch.randn(32, 7), torch.randint(7, (32,))
    assert losses[0](preds, target) == losses[1](preds, target)


def trials_of(run: Path) -> list[optuna.trial.FrozenTrial]:
    storage = JournalStorage(JournalFileBackend(str(run / "study.journal")))
    (name,) = optuna.get_all_study_names(storage)
    return optuna.load_study(study_name=name, storage=storage).trials


@finds_children
@pytest.mark.slow
def test_a_search_whose_processes_are_killed_goes_on_with_fewer_and_gives_up_without_any(tmp_path: Path) -> None:
    program.write(tmp_path / "hits.py", HITS)
    program.write(tmp_path / "small.toml", SMALL_SPACE.replace("n_steps = 60", "n_steps = 300\npatience = 1.0"))
    with subprocess.Popen(
        program.command("fit", "--metric", "hits.py", "--space", "small.toml", "--trials", 200, "--workers", 2,
                        "--run-dir", "run", "--force"),
        cwd=tmp_path, env=program.ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        messages = []
        for line in process.stdout:
            if line.startswith("trial "):
                os.kill(trainers_of(process.pid)[0], signal.SIGKILL)
            if line.startswith("a training process"):
                messages.append(line)
        assert process.stderr is not None
        error = process.stderr.read()
        process.wait(timeout=60)
    assert len(messages) == 1
    assert (
        "was killed from outside (signal SIGKILL); is there too little memory? going on with 1 at a time" in messages[0]
    )
    assert re.search("though no other ran beside it; .* --workers 1 trains in the program's own process", error)
    assert process.returncode == 2
    states = [trial.state.name for trial in trials_of(tmp_path / "run")]
    assert states.count("FAIL") >= 2
    assert states.count("COMPLETE") >= 1


def trainers_of(pid: int) -> list[int]:
    """The processes that a fit trains in."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    found = [
        int(child) for task in children.parent.parent.iterdir() for child in (task / "children").read_text().split()
    ]
    return [child for child in found if b"trainer_worker" in Path(f"/proc/{child}/cmdline").read_bytes()]


def test_tables_that_cannot_be_written_are_kept_in_memory(setup: Setup, tmp_path: Path) -> None:
    apart, together = (setup.runner(folder).run(job(0)) for folder in (tmp_path / "missing", None))
    assert same(apart, together)


def test_a_setup_that_cannot_be_sent_to_other_processes_is_an_error(setup: Setup, tmp_path: Path) -> None:
    with pytest.raises(SetupNotShared, match=r"FileNotFoundError: .*missing"):
        Trainers(setup, 2, tmp_path / "missing")


@pytest.fixture
def intervals() -> str:
    """A task of one's own, and its metric: the file that the docs show, with fewer steps and smaller sets."""
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "own-task.md").read_text(encoding="utf-8")
    found = re.search(r"```python\n(# intervals.py.*?)```", page, re.DOTALL)
    assert found is not None
    assert "n_steps = 300" in found[1]
    assert "set_size=64" in found[1]
    return found[1].replace("n_steps = 300", "n_steps = 40").replace("set_size=64", "set_size=8")


@pytest.mark.slow
def test_tasks_of_a_file_or_of_a_script_are_trained_aside(tmp_path: Path, intervals: str) -> None:
    (tmp_path / "intervals.py").write_text(intervals)
    done = program.run("fit", "--metric", "intervals.py", "--trials", 2, "--workers", 2, "--force", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    call = "autosurrogate.fit(hit_rate, trials=2, workers=2, force=True, out='script.pt')"
    (tmp_path / "script.py").write_text(f"{intervals}\nimport autosurrogate\nprint({call}.metadata.search)\n")
    script = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, env=program.ENVIRONMENT, capture_output=True,
                            text=True, timeout=120, check=False)  # fmt: skip
    assert script.returncode == 0, script.stderr
    assert "n_complete=2" in script.stdout
    preds, target = torch.rand(64, 2).cumsum(1), torch.rand(64, 2).cumsum(1)
    found = [program.load(tmp_path / name)(preds, target) for name in ("hit_rate.pt", "script.pt")]
    assert found[0] == found[1]


@pytest.mark.slow
def test_a_task_that_cannot_be_pickled_is_trained_in_the_program_s_own_process(tmp_path: Path, intervals: str) -> None:
    held = '    def __init__(self):\n        self.held = __import__("threading").Lock()\n\n    def generate('
    (tmp_path / "intervals.py").write_text(intervals.replace("    def generate(", held))
    done = program.run("fit", "--metric", "intervals.py", "--trials", 2, "--workers", 2, "--force", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    output = done.stdout.replace("\n", " ")
    assert "trials run one at a time: their points or task cannot be sent to other processes: TypeError: " in output
    assert not list((tmp_path / "runs").glob("*/shared-*"))
