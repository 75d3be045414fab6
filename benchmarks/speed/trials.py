"""Trials of a BLEU search in a minute, one after another and side by side, with and without pruning."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import loky
import torch
from optuna.trial import TrialState

from autosurrogate import tasks
from autosurrogate.evaluation.evaluator import Evaluator
from autosurrogate.labelling.labeller import Labeller
from autosurrogate.pipeline.fit_decisions import MAX_TRAINERS_ON_GPU
from autosurrogate.points.labelled_points import LabelledPoints, Points
from autosurrogate.registry.lookup import find
from autosurrogate.run.budget import Clock
from autosurrogate.run.progress import Progress
from autosurrogate.run.run_dir import RunDir
from autosurrogate.search import search_space, trial_record
from autosurrogate.search.search import Search
from autosurrogate.search.window import LAG
from benchmarks.speed._timing import Row

TITLE = "Trials"
ABOUT = """
Two minutes of searching sentence BLEU, twenty seconds on a GPU, on the same labelled points, from the start of the
processes and the making of the tables to the end of the last trial. One trial at a time has all cores to itself; of
several at a time each has one thread. *Whole trainings* are neither pruned nor ended where they do not get better any
more. *Best* is the highest rank correlation on held-out points, in per cent.
"""
BASELINE = "one at a time, whole trainings"
SEARCH_S = {"cpu": 120.0, "cuda": 20.0}


def measure(device: str) -> Iterator[Row]:
    """Rows of seconds a trial."""
    metric = find("bleu")
    task = tasks.get(metric.task)
    with tempfile.TemporaryDirectory() as scratch, Labeller(metric) as labeller:
        first = RunDir(Path(scratch) / "points")
        first.create({}, search_space.text_of(task))
        with Clock(first, 1e9) as clock:
            points = LabelledPoints(first, clock, task, metric, labeller, 0, Progress()).for_search([])
        evaluator = Evaluator(task, metric, labeller, torch.device(device), points, 0)
        evaluator.regular_gain_fraction()
        variants = {BASELINE: 1, "one at a time": 1}
        most = LAG if device == "cpu" else MAX_TRAINERS_ON_GPU
        variants |= {f"{n} at a time": n for n in (2, 4, 8) if n <= min(most, loky.cpu_count())}
        for name, n_workers in variants.items():
            run = RunDir(Path(scratch) / name)
            run.create({}, search_space.text_of(task))
            row = _searched(name, run, points, evaluator, device, n_workers, whole=name == BASELINE)
            yield row if name == BASELINE else replace(row, more={**row.more, "workers": n_workers})


def _searched(
    name: str, run: RunDir, points: Points, evaluator: Evaluator, device: str, n_workers: int, *, whole: bool
) -> Row:
    metric = find("bleu")
    task = tasks.get(metric.task)
    space = search_space.load(task)
    if whole:
        space = replace(space, training={**space.training, "patience": 1.0})
    with Clock(run, SEARCH_S[torch.device(device).type]) as clock:
        search = Search(
            run, clock, task, metric, space, points,
            objective="correlation", random_share=None, seed=0, device=torch.device(device), evaluator=evaluator,
            n_workers=n_workers, prunes=not whole, all_threads=True,
        )  # fmt: skip
        began = time.perf_counter()
        search.run(None, 0.0, 0.0, Progress())
        spent = time.perf_counter() - began
    complete = [t for t in search.study.trials if t.state == TrialState.COMPLETE]
    n_trials = sum(search.counts().values())
    best = max(trial_record.read(t).validation_spearman for t in complete)
    more = {"n_trials": n_trials, "per_minute": 60 * n_trials / spent, "best": 100 * best}
    return Row("sentence BLEU", name, [spent / n_trials], "trial", more)
