"""Points from the random generator G_R, whose severity is chosen so that the metric covers its range evenly."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.optimize import nnls

from autosurrogate.examples import Examples
from autosurrogate.rank_correlation.statistics import spearman
from autosurrogate.registry.metric_type import Metric
from autosurrogate.tasks import Task

N_LEVELS = 17
N_BINS = 10
CLEAR = 0.3  # rank correlation of severity and values from which they tell the direction
EVENNESS = 0.1  # price of unequal weights of severities


def generator_of(seed: int, *what: object) -> torch.Generator:
    """A source of randomness for one purpose, the same in every run of that seed."""
    return torch.Generator().manual_seed(zlib.crc32(repr((seed, *what)).encode()))


def set_size_of(metric: Metric) -> int:
    """Examples a point; for a set-level metric the one that it is declared with."""
    return metric.set_size if metric.level == "set" else 1


def set_sizes(metric: Metric) -> tuple[int, ...]:
    """The set sizes of generated chunks, in turn: from an eighth of the declared one to four times it.

    >>> from autosurrogate.registry import find
    >>> sorted(set_sizes(find("accuracy")))
    [16, 32, 64, 128, 256, 512]
    """
    if metric.level == "sample":
        return (1,)
    return tuple(dict.fromkeys(max(2, round(metric.set_size * share)) for share in (1, 1 / 4, 4, 1 / 8, 2, 1 / 2)))


def points_of(task: Task, metric: Metric, examples: Examples, set_size: int) -> list[tuple[Any, Any]]:
    """The arguments of each call of the metric on the examples, each `set_size` of them a point.

    A mixture is given, for preds and for target, what each of its parts is given; in sets, a part that judges single
    examples is given the list of them.
    """
    if not metric.parts:
        return task.points(examples, metric.view, set_size if metric.level == "set" else None)
    each = [_of_part(task, part, examples, set_size if metric.level == "set" else None) for part in metric.parts]
    return [(preds, target) for preds, target in (zip(*point, strict=True) for point in zip(*each, strict=True))]


def _of_part(task: Task, part: Metric, examples: Examples, set_size: int | None) -> list[tuple[Any, Any]]:
    """The arguments of a part of a mixture for each point."""
    if part.level == "set" or set_size is None:
        return task.points(examples, part.view, set_size)
    single, kept = task.points(examples, part.view, None), task.has_target(examples)
    taken = [one if kept is None or kept[i] else None for i, one in enumerate(single)]
    sets = [[one for one in taken[i : i + set_size] if one is not None] for i in range(0, len(single), set_size)]
    return [([preds for preds, _ in one], [target for _, target in one]) for one in sets]


@dataclass(frozen=True)
class Severities:
    """A distribution of severities under which the metric's values cover their range evenly.

    Args:
        levels: severities in [0, 1], ascending.
        weights: how often each is drawn, up to a factor; not negative.
    """

    levels: tuple[float, ...]
    weights: tuple[float, ...]

    def draw(self, n_points: int, generator: torch.Generator) -> torch.Tensor:
        """Severities, shape (n_points,): a level, and evenly about it up to half the way to the next of the ladder."""
        level = torch.multinomial(torch.tensor(self.weights), n_points, replacement=True, generator=generator)
        away = (torch.rand(n_points, generator=generator) - 0.5) / (N_LEVELS - 1)
        return (torch.tensor(self.levels)[level] + away).clamp(0, 1)


def pilot(task: Task, metric: Metric, seed: int) -> tuple[list[tuple[Any, Any]], np.ndarray]:
    """Points at each of a ladder of severities, to be labelled for `calibrate`.

    Returns:
        The arguments of the metric's calls, and the severity of each.
    """
    generator = generator_of(seed, "pilot")
    per_level = 16 if metric.level == "set" else 64
    points: list[tuple[Any, Any]] = []
    levels = np.linspace(0, 1, N_LEVELS)
    n_sizes = 8  # each level at several sizes of example, as the sizes are drawn for each call
    for level in levels:
        for _ in range(n_sizes):
            severity = torch.full((per_level // n_sizes,), float(level))
            examples = task.generate(severity, generator, set_size_of(metric), metric.view)
            points += points_of(task, metric, examples, set_size_of(metric))
    return points, np.repeat(levels, per_level)


def wrong_direction(metric: Metric, severity: np.ndarray, values: np.ndarray) -> str | None:
    """What speaks against the declared direction of a metric, from labelled pilot points; None if nothing does."""
    there = np.isfinite(values)
    easy, hard = (values[there & part] for part in (severity <= 1 / 8, severity >= 7 / 8))
    if not len(easy) or not len(hard) or abs(spearman(severity[there], values[there])) < CLEAR:
        return None
    if (easy.mean() > hard.mean()) == metric.higher_is_better:
        return None
    better = "higher" if metric.higher_is_better else "lower"
    return (
        f"{better} is declared to be better, but its mean is {easy.mean():.4g} on the easiest generated points and "
        f"{hard.mean():.4g} on the hardest; is higher_is_better right, and does it take preds first, then target?"
    )


def calibrate(severity: np.ndarray, values: np.ndarray) -> Severities:
    """The distribution of severities from labelled pilot points; NaN values are left out.

    The weights are not negative and bring the histogram of the values, over equal bins, closest to an even one
    (non-negative least squares), at a small price for weights that are unequal.
    """
    severity, values = severity[np.isfinite(values)], values[np.isfinite(values)]
    levels = np.unique(severity)
    edges = np.linspace(values.min(), values.max(), N_BINS + 1)
    counts = np.stack([np.histogram(values[severity == level], edges)[0] for level in levels], 1)
    even = np.concatenate([np.full(N_BINS, 1 / N_BINS), np.full(len(levels), EVENNESS / len(levels))])
    weights, _ = nnls(np.concatenate([counts / counts.sum(0), EVENNESS * np.eye(len(levels))]), even)
    return Severities(tuple(levels.tolist()), tuple(weights.tolist()))


def coverage(values: np.ndarray) -> float:
    """How evenly values fill the range from the least to the largest of them.

    Returns:
        In (0, 1]: the exponential of the entropy over ten equal bins, divided by ten. 1 where all bins hold as many.

    >>> round(coverage(np.linspace(0, 1, 100)), 3), round(coverage(np.array([0.0, 0.0, 0.0, 1.0])), 3)
    (1.0, 0.175)
    """
    counts = np.histogram(values, N_BINS)[0]
    share = counts[counts > 0] / counts.sum()
    return float(np.exp(-(share * np.log(share)).sum()) / N_BINS)


def chunk(
    task: Task, metric: Metric, severities: Severities, seed: int, split: str, index: int
) -> tuple[Examples, int, np.ndarray]:
    """One chunk of generated points, the same for the same seed, split and index.

    Returns:
        Its examples, their number a point, and the severity of each point.
    """
    generator = generator_of(seed, split, index)
    sizes = set_sizes(metric)
    set_size = sizes[index % len(sizes)]
    severity = severities.draw(n_points_of_chunk(metric), generator)
    examples = task.generate(severity, generator, set_size, metric.view)
    return examples, set_size, severity.numpy().astype(np.float64)


def n_points_of_chunk(metric: Metric) -> int:
    """Points a chunk: fewer where each is a set."""
    return 48 if metric.level == "set" else 256
