from __future__ import annotations

import pytest
import torch

from autosurrogate import tasks
from autosurrogate.evaluation.descent import STEPS
from autosurrogate.evaluation.subsampling import (
    MIN_FOR_DESCENT,
    MIN_PER_CHUNK,
    Costs,
    count_costs,
    subsample,
    subsample_for_descent,
)
from autosurrogate.points.labelled_set import Chunk
from autosurrogate.registry.lookup import find
from autosurrogate.search import search_space

SIZES = (4, 64, 16)
COSTS = Costs({4: 0.01, 16: 0.04, 64: 0.16}, {4: 0.02, 16: 0.08, 64: 0.32})


def chunk(set_size: int, n_points: int = 48) -> Chunk:
    generator = torch.Generator().manual_seed(set_size)
    examples = tasks.get("classification").generate(torch.rand(n_points, generator=generator), generator, set_size)
    return Chunk(examples, set_size, torch.rand(n_points, generator=generator), torch.rand(n_points))


@pytest.fixture(scope="module")
def chunks() -> list[Chunk]:
    return [chunk(size) for size in SIZES]


def test_all_points_are_kept_where_there_is_time(chunks: list[Chunk]) -> None:
    assert [len(c) for c in subsample(chunks, COSTS, 1e3)] == [48] * 3
    assert subsample_for_descent(chunks, COSTS, 64, 1e3) == (chunks, 64)


def test_every_set_size_keeps_the_same_fraction(chunks: list[Chunk]) -> None:
    half = subsample(chunks, COSTS, 0.5 * 48 * sum(COSTS.forward.values()))
    assert [(len(c), c.set_size, len(c.examples)) for c in half] == [(24, n, 24 * n) for n in SIZES]
    assert torch.equal(half[1].values, chunks[1].values[:24])
    assert [len(c) for c in subsample(chunks, COSTS, 0.0)] == [MIN_PER_CHUNK] * 3


def test_large_sets_are_dropped_from_a_descent_first(chunks: list[Chunk]) -> None:
    of_two = 64 * STEPS * (COSTS.step[4] + COSTS.step[16]) / 2
    remaining, n_points = subsample_for_descent(chunks, COSTS, 64, of_two)
    assert ([c.set_size for c in remaining], n_points) == ([4, 16], 64)
    remaining, n_points = subsample_for_descent(chunks, COSTS, 64, 32 * STEPS * COSTS.step[4])
    assert ([c.set_size for c in remaining], n_points) == ([4], 32)
    assert subsample_for_descent(chunks, COSTS, 64, 0.0)[1] == MIN_FOR_DESCENT


def test_sets_of_a_size_that_was_not_counted_cost_as_the_most_expensive() -> None:
    unknown, largest = ([chunk(size)] for size in (8, 64))
    assert subsample_for_descent(unknown, COSTS, 64, 32 * STEPS * COSTS.step[64])[1] == 32
    assert len(subsample(unknown, COSTS, 1.0)[0]) == len(subsample(largest, COSTS, 1.0)[0])


@pytest.mark.slow
def test_larger_sets_cost_more_and_as_much_when_counted_again() -> None:
    metric = find("corpus_bleu")
    task = tasks.get(metric.task)
    space = search_space.load(task)
    generator = torch.Generator().manual_seed(0)
    chunks = [
        Chunk(task.generate(torch.rand(2, generator=generator), generator, size), size, torch.rand(2), None)
        for size in (4, 1024)
    ]
    costs = count_costs(task, metric, space.widest_networks(task), chunks, torch.device("cpu"))
    for seconds in (costs.forward, costs.step):
        assert 0 < seconds[4] < seconds[1024]
    assert count_costs(task, metric, space.widest_networks(task), chunks, torch.device("cpu")) == costs
