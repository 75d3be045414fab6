"""Labelling by worker processes, beside the bare metric in loops; and what generating the points costs."""

from __future__ import annotations

import functools
import multiprocessing
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import loky
import torch

from autosurrogate import tasks
from autosurrogate.labelling.labeller import Labeller
from autosurrogate.points import metric_calls
from autosurrogate.registry.lookup import find
from autosurrogate.registry.metric_type import Metric
from benchmarks.speed._timing import Row, side_by_side

TITLE = "Labelling"
ABOUT = """
Seconds of a call of the metric. *In a loop*: the bare function in one process, its time divided by the number of cores.
*In a loop on each core*: in as many processes as there are cores at the same time, which is all that this machine has
to give. *Generating* is done in the main process while the workers label.
"""
BASELINE = "in a loop on each core"
METRICS = {"bleu": 40_960, "coco_ap": 768}  # points


def measure(device: str) -> Iterator[Row]:
    """Rows of a metric of sentences and of one of sets of images."""
    for name, n_points in METRICS.items():
        metric = find(name)
        points = _points(metric, n_points)
        n_cores = loky.cpu_count()
        # not loky's, whose processes tidy up once a call is done, at the expense of what is timed next
        processes = ProcessPoolExecutor(n_cores, multiprocessing.get_context("spawn"))
        with processes, Labeller(metric) as labeller:
            variants = {
                "in a loop on each core": lambda processes=processes, name=name, n=n_points: list(
                    processes.map(functools.partial(_looped, name, n), range(loky.cpu_count()))
                ),
                "labelling": lambda points=points, labeller=labeller: labeller.label(points),
                "in a loop": lambda points=points, score=metric.function: [score(*point) for point in points],
                "generating": lambda metric=metric, n_points=n_points: _points(metric, n_points),
            }
            for row in side_by_side(f"{name}, {n_points:,} points", variants, "cpu", n_repeats=21):
                n_calls = n_points * (n_cores if row.variant == "in a loop" else 1)
                yield Row(
                    row.setting, row.variant, [seconds / n_calls for seconds in row.seconds], "call of the metric"
                )


def _looped(name: str, n_points: int, number: int) -> float:
    """Seconds of a part of the calls, in one of as many processes as the machine has cores."""
    score, points = find(name).function, _kept(name, n_points)
    began = time.perf_counter()
    for point in points[number :: loky.cpu_count()]:
        score(*point)
    return time.perf_counter() - began


@functools.cache
def _kept(name: str, n_points: int) -> list[tuple[Any, Any]]:
    return _points(find(name), n_points)


def _points(metric: Metric, n_points: int) -> list[tuple[Any, Any]]:
    task, size = tasks.get(metric.task), metric_calls.set_size_of(metric)
    generator = torch.Generator().manual_seed(0)
    step = metric_calls.n_points_of_chunk(metric)
    points: list[tuple[Any, Any]] = []
    while len(points) < n_points:
        examples = task.generate(torch.rand(step, generator=generator), generator, size, metric.view)
        points += metric_calls.points_of(task, metric, examples, size)
    return points[:n_points]
