"""What every built-in metric must hold, whichever it is."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import torch

from autosurrogate import tasks
from autosurrogate.metric import Metric, builtins, find

SEED = 0


@pytest.fixture(params=builtins(), ids=lambda metric: metric.name)
def metric(request: pytest.FixtureRequest) -> Metric:
    return find(request.param)


def points(metric: Metric, severity: float, n_points: int = 24) -> list[tuple[Any, Any]]:
    """Generated points of twelve batches, for sizes are drawn once a batch."""
    task, generator = tasks.get(metric.task), torch.Generator().manual_seed(SEED)
    set_size = metric.set_size if metric.level == "set" else None
    drawn: list[tuple[Any, Any]] = []
    for _ in range(12):
        examples = task.generate(torch.full((n_points // 12,), severity), generator, set_size or 1)
        drawn += task.points(examples, metric.view, set_size)
    return drawn


def values(metric: Metric, severity: float) -> list[float]:
    return [metric.function(preds, target) for preds, target in points(metric, severity)]


def test_it_returns_a_float_within_0_and_100(metric: Metric) -> None:
    for severity in (0.0, 0.5, 1.0):
        for value in values(metric, severity):
            assert type(value) is float
            assert 0 <= value <= 100 + 1e-9


def test_its_direction_is_as_declared(metric: Metric) -> None:
    easy, hard = np.mean(values(metric, 0.0)), np.mean(values(metric, 1.0))
    assert (easy > hard) == metric.higher_is_better


def test_the_order_of_a_set_does_not_matter(metric: Metric) -> None:
    if metric.level == "sample":
        pytest.skip("a point is one example")
    for preds, target in points(metric, 0.5):
        assert metric.function(preds[::-1], target[::-1]) == pytest.approx(metric.function(preds, target), rel=1e-12)


def test_it_is_the_same_twice_and_leaves_its_arguments_alone(metric: Metric) -> None:
    for preds, target in points(metric, 0.5):
        before = pickle.dumps((preds, target))
        assert metric.function(preds, target) == metric.function(preds, target)
        assert pickle.dumps((preds, target)) == before


def test_an_empty_set_has_no_value(metric: Metric) -> None:
    if metric.level == "sample":
        pytest.skip("a point is one example")
    preds, target = points(metric, 0.5)[0]
    assert np.isnan(metric.function(preds[:0], target[:0]))


def test_it_comes_through_a_pickle(metric: Metric) -> None:
    assert pickle.loads(pickle.dumps(metric)) == metric


def test_its_file_bears_its_name_and_says_what_computes_it(metric: Metric) -> None:
    assert metric.function.__module__ == f"autosurrogate.metrics.{metric.name}"
    assert metric.source in ("numpy", "sacrebleu")
