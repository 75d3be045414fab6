"""Trials of a BLEU search in a minute, with and without pruning."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path

import optuna
import torch
from optuna.trial import TrialState

from autosurrogate import search_space, tasks
from autosurrogate.judge import Judge
from autosurrogate.labelled_points import LabelledPoints, Points
from autosurrogate.labelling import Labeller
from autosurrogate.metric import find
from autosurrogate.progress import Progress
from autosurrogate.run_dir import Clock, RunDir
from autosurrogate.search import Search
from benchmarks.speed._timing import Row

TITLE = "Trials"
ABOUT = """
A minute of searching sentence BLEU on the same labelled points, the tables made before. *Best* is the highest rank
correlation on held-out points, in per cent.
"""
AGAINST = "without pruning"
SEARCH_S = 60.0
PRUNERS = {"without pruning": optuna.pruners.NopPruner, "as the program does": None}


def measure(device: str) -> Iterator[Row]:
    """Rows of seconds a trial."""
    metric = find("bleu")
    task = tasks.get(metric.task)
    with tempfile.TemporaryDirectory() as scratch, Labeller(metric) as labeller:
        first = RunDir(Path(scratch) / "points")
        first.create({}, search_space.text_of(metric.task))
        with Clock(first, 1e9) as clock:
            points = LabelledPoints(first, clock, task, metric, labeller, 0, Progress()).all([])
        judge = Judge(task, metric, labeller, torch.device(device), points, 0)
        for name, pruner in PRUNERS.items():
            run = RunDir(Path(scratch) / name)
            run.create({}, search_space.text_of(metric.task))
            yield _searched(name, run, points, judge, None if pruner is None else pruner(), device)


def _searched(
    name: str, run: RunDir, points: Points, judge: Judge, pruner: optuna.pruners.BasePruner | None, device: str
) -> Row:
    metric = find("bleu")
    space = search_space.load(metric.task)
    with Clock(run, 1e9) as clock:
        search = Search(
            run, clock, tasks.get(metric.task), metric, space, points,
            objective="correlation", random_share=None, seed=0, device=torch.device(device), mended=judge.mended,
        )  # fmt: skip
        if pruner is not None:
            search.study.pruner = pruner
        search.run(len(space.networks), 0.0, judge.regular_held_out(), Progress())  # makes the tables
        n_before, until = len(search.study.trials), clock.spent_s + SEARCH_S
        while clock.spent_s < until:
            search.run(len(search.study.trials) + 1, 0.0, 0.0, Progress())
        spent = clock.spent_s - until + SEARCH_S
    trials = search.study.trials[n_before:]
    best = max(t.user_attrs["correlation"] for t in search.study.trials if t.state == TrialState.COMPLETE)
    lasting = [t.duration.total_seconds() for t in trials if t.duration is not None]
    more = {"n_trials": len(trials), "per_minute": 60 * len(trials) / spent, "best": 100 * best}
    return Row("sentence BLEU", name, [statistics.fmean(lasting)], "trial", more)
