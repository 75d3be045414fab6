from __future__ import annotations

import numpy as np
import pytest
import torch

from autosurrogate import tasks
from autosurrogate.points import metric_calls, sampling
from autosurrogate.points.sampling import generator_of
from autosurrogate.points.severity_calibration import Severities, calibrate, coverage
from autosurrogate.registry.lookup import find
from autosurrogate.registry.metric_type import Metric

SEED = 3


@pytest.fixture(params=["accuracy", "bleu", "corpus_bleu", "top5_accuracy"])
def metric(request: pytest.FixtureRequest) -> Metric:
    return find(request.param)


def labels(metric: Metric, points: list[tuple[object, object]]) -> np.ndarray:
    return np.array([metric.function(*point) for point in points])


def calibrated(metric: Metric, seed: int) -> Severities:
    points, severity, _ = sampling.generate_pilot(tasks.get(metric.task), metric, seed)
    return calibrate(severity, labels(metric, points))


@pytest.mark.slow
def test_calibrated_points_cover_the_range_of_a_metric(metric: Metric) -> None:
    task, found = tasks.get(metric.task), []
    for seed in range(4):
        severities, values = calibrated(metric, seed), []
        for index in range(8):
            examples, set_size, *_ = sampling.generate_chunk(task, metric, severities, seed, "train", index)
            values.append(labels(metric, metric_calls.points_of(task, metric, examples, set_size)))
        found.append(coverage(np.concatenate(values)))
    # With five classes or fewer everything is among the first five: a chunk in four holds the best value alone.
    assert np.mean(found) >= (0.7 if metric.name == "top5_accuracy" else 0.9)


def test_a_chunk_is_the_same_again_and_another_under_another_index_split_or_seed(metric: Metric) -> None:
    task, severities = tasks.get(metric.task), Severities((0.0, 1.0), (1.0, 0.0))
    first, _, severity, _ = sampling.generate_chunk(task, metric, severities, SEED, "train", 0)
    again, _, severity_again, _ = sampling.generate_chunk(task, metric, severities, SEED, "train", 0)
    assert torch.equal(first.preds, again.preds)
    assert torch.equal(first.target, again.target)
    np.testing.assert_array_equal(severity, severity_again)
    for seed, split, index in ((SEED, "train", 1), (SEED, "test", 0), (SEED + 1, "train", 0)):
        _, _, other, _ = sampling.generate_chunk(task, metric, severities, seed, split, index)
        assert not np.array_equal(severity, other)


def test_a_chunk_holds_whole_points(metric: Metric) -> None:
    task = tasks.get(metric.task)
    examples, set_size, severity, _ = sampling.generate_chunk(
        task, metric, Severities((0.0, 1.0), (1.0, 0.0)), SEED, "train", 0
    )
    assert len(severity) == metric_calls.n_points_of_chunk(metric)
    assert len(examples) == len(severity) * set_size
    assert set_size == metric_calls.set_size_of(metric) == (metric.set_size if metric.level == "set" else 1)


def test_chunks_take_the_set_sizes_in_turn(metric: Metric) -> None:
    task, severities = tasks.get(metric.task), Severities((0.0, 1.0), (1.0, 0.0))
    sizes = [sampling.generate_chunk(task, metric, severities, SEED, "train", index)[1] for index in range(6)]
    assert sorted(sizes) == sorted(set(sizes)) if metric.level == "set" else sizes == [1] * 6
    assert (min(sizes), max(sizes)) == (max(1, metric.set_size // 8), max(1, 4 * metric.set_size)) or sizes == [1] * 6


def test_generators_differ_by_seed_and_purpose() -> None:
    draws = [torch.rand(3, generator=generator_of(*what)).tolist() for what in ((0, "a"), (0, "a"), (1, "a"), (0, "b"))]
    assert draws[0] == draws[1]
    assert draws[0] not in draws[2:]
