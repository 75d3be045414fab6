"""Points from the random generator G_R: those of the pilot, and chunks of those that losses are fitted to."""

from __future__ import annotations

import zlib
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from autosurrogate.examples import Examples
from autosurrogate.points.metric_calls import n_points_of_chunk, points_of, set_size_of, set_sizes
from autosurrogate.points.severity_calibration import N_LEVELS, Severities
from autosurrogate.registry.metric_type import Metric
from autosurrogate.tasks import REGIMES, TRAINED, Task, assign_regimes


def generator_of(seed: int, *purpose: object) -> torch.Generator:
    """A source of randomness for one purpose, the same in every run of that seed."""
    return torch.Generator().manual_seed(zlib.crc32(repr((seed, *purpose)).encode()))


class Pilot(NamedTuple):
    """Points at `N_LEVELS` severities, to be labelled for `severity_calibration.calibrate`.

    Args:
        points: the arguments of the metric's calls.
        severity: of each point, shape (n_points,), ascending.
        is_trained: which points are of trained models, bool (n_points,); the others are of the task's other regimes.
    """

    points: list[tuple[Any, Any]]
    severity: np.ndarray
    is_trained: np.ndarray


def generate_pilot(task: Task, metric: Metric, seed: int) -> Pilot:
    """Points of each severity, as many of each regime as in the chunks that a run is fitted to."""
    generator, of_regimes = generator_of(seed, "pilot"), generator_of(seed, "regimes of the pilot")
    per_level, set_size = 16 if metric.level == "set" else 64, set_size_of(metric)
    points: list[tuple[Any, Any]] = []
    regimes: list[Tensor] = []
    levels = np.linspace(0, 1, N_LEVELS)
    n_sizes = 8  # each level at several sizes of example, as the sizes are drawn for each call
    for level in levels:
        for _ in range(n_sizes):
            severity = torch.full((per_level // n_sizes,), float(level))
            examples = task.generate(severity, generator, set_size, metric.view)
            regimes.append(assign_regimes(len(severity), task.regimes, of_regimes))
            examples = _in_regimes(task, examples, set_size, regimes[-1], of_regimes)
            points += points_of(task, metric, examples, set_size)
    is_trained = (torch.cat(regimes) == REGIMES.index(TRAINED)).numpy()
    return Pilot(points, np.repeat(levels, per_level), is_trained)


class Generated(NamedTuple):
    """A chunk of generated points that have no labels yet.

    Args:
        examples: n_points * set_size examples, point by point.
        set_size: examples a point.
        severity: of each point, shape (n_points,), float64.
        regime: of each point, a number in `tasks.REGIMES`, shape (n_points,), int8.
    """

    examples: Examples
    set_size: int
    severity: np.ndarray
    regime: np.ndarray


def generate_chunk(task: Task, metric: Metric, severities: Severities, seed: int, split: str, index: int) -> Generated:
    """One chunk of generated points, the same for the same seed, split and index."""
    generator = generator_of(seed, split, index)
    sizes = set_sizes(metric)
    set_size = sizes[index % len(sizes)]
    severity = severities.draw(n_points_of_chunk(metric), generator)
    examples = task.generate(severity, generator, set_size, metric.view)
    regime = assign_regimes(len(severity), task.regimes, generator)
    examples = _in_regimes(task, examples, set_size, regime, generator)
    return Generated(examples, set_size, severity.numpy().astype(np.float64), regime.numpy().astype(np.int8))


def _in_regimes(task: Task, examples: Examples, set_size: int, regime: Tensor, generator: torch.Generator) -> Examples:
    """Examples of which each point is in its regime."""
    preds = examples.preds.clone()
    for number, name in enumerate(REGIMES):
        rows = (regime == number).repeat_interleave(set_size)
        if name != TRAINED and rows.any():
            preds[rows] = task.in_regime(name, examples[rows], set_size, generator).preds.to(preds.dtype)
    return examples.with_preds(preds)
