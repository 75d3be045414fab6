"""Labelling by worker processes, beside the bare metric in a loop; and what generating the points costs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import loky
import torch

from autosurrogate import sampling, tasks
from autosurrogate.labelling import Labeller
from autosurrogate.metric import find
from autosurrogate.registry import Metric
from benchmarks.speed._timing import Row, side_by_side

TITLE = "Labelling"
ABOUT = """
Seconds of a call of the metric. *In a loop, all cores*: the bare function in one process, its time divided by the
number of cores. *Generating* is done in the main process while the workers label.
"""
AGAINST = "in a loop, all cores"
METRICS = {"bleu": 40_960, "coco_ap": 768}  # points


def measure(device: str) -> Iterator[Row]:
    """Rows of a metric of sentences and of one of sets of images."""
    for name, n_points in METRICS.items():
        metric = find(name)
        points = _points(metric, n_points)
        n_cores = loky.cpu_count()
        with Labeller(metric) as labeller:
            variants = {
                "in a loop, all cores": lambda points=points, score=metric.function: [
                    score(*point) for point in points
                ],
                "labelling": lambda points=points, labeller=labeller: labeller.label(points),
                "generating": lambda metric=metric, n_points=n_points: _points(metric, n_points),
            }
            for row in side_by_side(f"{name}, {n_points:,} points", variants, "cpu", n_repeats=5):
                share = n_points * (n_cores if row.variant.startswith("in a loop") else 1)
                yield Row(row.setting, row.variant, [seconds / share for seconds in row.seconds], "call of the metric")


def _points(metric: Metric, n_points: int) -> list[tuple[Any, Any]]:
    task, size = tasks.get(metric.task), sampling.set_size_of(metric)
    generator = torch.Generator().manual_seed(0)
    step = sampling.n_points_of_chunk(metric)
    found: list[tuple[Any, Any]] = []
    while len(found) < n_points:
        examples = task.generate(torch.rand(step, generator=generator), generator, size, metric.view)
        found += sampling.points_of(task, metric, examples, size)
    return found[:n_points]
