"""The checks of a metric."""

from __future__ import annotations

import functools
import math
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from autosurrogate import tasks
from autosurrogate.points import metric_calls, sampling, severity_calibration
from autosurrogate.registry.lookup import find
from autosurrogate.registry.metric_type import Metric
from autosurrogate.testing._check import Check, ensure, run_all

N_BATCHES = 12  # generated at each severity; each has its own sizes
N_POINTS = 2
N_CHUNKS = 6  # whose coverage is measured, each of another set size
MIN_COVERAGE = 0.5  # of the metric's range by generated points
MAX_DROPPED = 0.1  # fraction of generated points on which a metric may have no value


def check_metric(
    metric: str | Callable[..., Any] | Metric, *, bounds: tuple[float, float] | None = None, seed: int = 0
) -> None:
    """Run every check on a metric.

    Args:
        metric: what `autosurrogate.fit` takes.
        bounds: smallest and largest value that it may have; any finite value if None.
        seed: of the generated points.

    Raises:
        MetricError: there is no such metric, or it is not validly declared.
        ConformanceError: something does not hold; the message names everything that does not.

    >>> check_metric("accuracy", bounds=(0, 1))
    """
    declared = find(metric)
    run_all(declared.who, metric_checks(declared, bounds=bounds, seed=seed))


def metric_checks(
    metric: str | Callable[..., Any] | Metric, *, bounds: tuple[float, float] | None = None, seed: int = 0
) -> list[Check]:
    """The checks of a metric, to be run one by one; arguments as of `check_metric`."""
    case = _Case(find(metric), bounds or (-math.inf, math.inf), seed)
    checks = [
        Check("returns a number within its bounds", case.returns_numbers),
        Check("is better for better predictions", case.has_its_direction),
        Check("takes values over its whole range", case.covers_its_range),
        Check("is deterministic and leaves its arguments unchanged", case.is_pure),
        Check("can be pickled", case.is_pickled),
    ]
    if case.metric.level == "set":
        checks += [
            Check("does not depend on the order of a set", case.ignores_the_order),
            Check("takes sets of one example and of none", case.takes_small_sets),
        ]
    return checks


class _Case:
    """A metric on generated points."""

    def __init__(self, metric: Metric, bounds: tuple[float, float], seed: int) -> None:
        self.metric, self._bounds, self._seed = metric, bounds, seed
        self._task = tasks.get(metric.task)

    def returns_numbers(self) -> None:
        low, high = self._bounds
        margin = 1e-9 * max(1.0, *(abs(bound) for bound in self._bounds if math.isfinite(bound)), 1.0)
        for severity in (0.0, 0.5, 1.0):
            values = self._values(severity)
            dropped = float(np.isnan(values).mean())
            ensure(dropped <= MAX_DROPPED, f"{100 * dropped:.0f} % of the values at severity {severity:g} are NaN")
            for value in values[~np.isnan(values)]:
                ensure(math.isfinite(value), f"it returned {value}")
                ensure(low - margin <= value <= high + margin, f"{value} is not within {low:g} and {high:g}")

    def has_its_direction(self) -> None:
        easy, hard = (float(np.nanmean(self._values(severity))) for severity in (0.0, 1.0))
        better = "higher" if self.metric.higher_is_better else "lower"
        ensure(
            easy > hard if self.metric.higher_is_better else easy < hard,
            f"{better} is declared to be better, but its mean is {easy:.4g} for the easiest and {hard:.4g} for the "
            "hardest generated points",
        )

    def covers_its_range(self) -> None:
        points, severity, _ = sampling.generate_pilot(self._task, self.metric, self._seed)
        pilot = np.array([self.metric.function(*point) for point in points], dtype=float)
        severities = severity_calibration.calibrate(severity, pilot)
        chunks: list[np.ndarray] = []
        for index in range(N_CHUNKS):
            chunk = sampling.generate_chunk(self._task, self.metric, severities, self._seed, "conformance", index)
            points = metric_calls.points_of(self._task, self.metric, chunk.examples, chunk.set_size)
            values = np.array([self.metric.function(*point) for point in points], dtype=float)
            chunks.append(values[np.isfinite(values)])
        all_values = np.concatenate(chunks)
        # Units may differ between chunks, and so may the range of a metric in the target's unit.
        coverage = max(severity_calibration.coverage(values) for values in (all_values, *chunks) if len(values))
        ensure(
            coverage >= MIN_COVERAGE,
            f"generated points cover {100 * coverage:.0f} % of the range of its values, {np.nanmin(all_values):.4g} to "
            f"{np.nanmax(all_values):.4g}",
        )

    def is_pure(self) -> None:
        for point in self._points(0.5):
            before = pickle.dumps(point)
            first = self.metric.function(*point)
            ensure(pickle.dumps(point) == before, "it changed what it was given")
            again = self.metric.function(*point)
            ensure(first == again or (math.isnan(first) and math.isnan(again)), f"it returned {first}, then {again}")

    def is_pickled(self) -> None:
        again = pickle.loads(pickle.dumps(self.metric))
        ensure((again.name, again.view) == (self.metric.name, self.metric.view), f"it came back as {again}")
        point = self._points(0.5)[0]
        ensure(_alike(again.function(*point), self.metric.function(*point)), "it came back with another function")

    def ignores_the_order(self) -> None:
        for preds, target in self._points(0.5):
            first, again = self.metric.function(preds, target), self.metric.function(preds[::-1], target[::-1])
            ensure(_alike(first, again), f"it returned {first}, and {again} for the same examples in another order")

    def takes_small_sets(self) -> None:
        for preds, target in self._points(0.5)[:4]:
            for n in (0, 1):
                value = self.metric.function(preds[:n], target[:n])
                ensure(isinstance(float(value), float), f"it returned {value!r} for a set of {n}")

    def _values(self, severity: float) -> np.ndarray:
        return np.array([self.metric.function(*point) for point in self._points(severity)], dtype=float)

    def _points(self, severity: float) -> list[tuple[Any, Any]]:
        """Generated points, fresh ones each time: a metric may change what it is given."""
        points: list[tuple[Any, Any]] = pickle.loads(self._pickled_points(severity))
        return points

    @functools.cache  # noqa: B019, a case lives as long as its checks
    def _pickled_points(self, severity: float) -> bytes:
        generator = torch.Generator().manual_seed(self._seed)
        set_size, points = metric_calls.set_size_of(self.metric), list[tuple[Any, Any]]()
        for _ in range(N_BATCHES):
            same = torch.full((N_POINTS,), severity)
            examples = self._task.generate(same, generator, set_size, self.metric.view)
            points += metric_calls.points_of(self._task, self.metric, examples, set_size)
        return pickle.dumps(points)


def _alike(a: float, b: float) -> bool:
    return (math.isnan(a) and math.isnan(b)) or math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-12)
