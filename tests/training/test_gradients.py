"""Steps on a GPU that are captured and replayed, beside those that are not."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from autosurrogate import surrogates, tasks
from autosurrogate.points.labelled_set import Chunk
from autosurrogate.training import loop
from autosurrogate.training.feature_table import FeatureTable, tabulate
from autosurrogate.training.gradients import CAPTURED_AFTER, Gradients, Objective
from autosurrogate.training.loop import Settings, Tables
from autosurrogate.training.objective import hard_rank

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")

GPU = torch.device("cuda")
SETTINGS = Settings(n_steps=60, batch_points=24, learning_rate=0.01, weight_decay=1e-4, penalty=0.05)
NETWORKS = {
    "margin": {"temperatures": [0.3, 0.1], "n_competitors": 2, "width": 8, "n_outputs": 4},
    "confusion": {"temperatures": [0.3, 0.1], "width": 8},
    "target_probability": {"width": 8, "n_hidden": 2},
}


@pytest.fixture(autouse=True)
def _own_randomness() -> Iterator[None]:
    with torch.random.fork_rng():
        yield


def built(network: str) -> Any:
    torch.manual_seed(0)
    return surrogates.build(tasks.get("classification"), "set", network, **NETWORKS[network]).to(GPU)


def table(network: str, seed: int, *set_sizes: int) -> tuple[FeatureTable, ...]:
    """Points of accuracy on the GPU, 40 of each set size."""
    chunks = []
    for k, set_size in enumerate(set_sizes):
        generator = torch.Generator().manual_seed(1000 * seed + k)
        made = tasks.get("classification").generate(torch.rand(40, generator=generator), generator, set_size)
        hits = (made.preds.argmax(1) == made.target).double().view(-1, set_size).mean(1)
        chunks.append(Chunk(made, set_size, hits, None))
    return tabulate(built(network), tasks.get("classification"), chunks, GPU)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("soft_rank", ["pairwise", "diffsort"])
@pytest.mark.parametrize("penalty", [0.0, 0.05])
def test_a_replayed_step_has_the_gradients_of_the_step_itself(network: str, soft_rank: str, penalty: float) -> None:
    objective = Objective("correlation", soft_rank, 8.0, penalty)
    captured, itself = built(network), built(network)
    replayed, plain = Gradients(captured, objective), Gradients(itself, objective, graphs=False)
    tables = table(network, 0, 16, 16, 8, 8)
    for step in range((CAPTURED_AFTER + 3) * len(tables)):
        points = tables[step % len(tables)]
        index = torch.randperm(len(points), generator=torch.Generator().manual_seed(step))[:24]
        target = hard_rank(-points.values.cpu()[index])
        for gradients in (replayed, plain):
            gradients.compute(points, index, target)
        for found, expected in zip(captured.parameters(), itself.parameters(), strict=True):
            torch.testing.assert_close(found.grad, expected.grad, rtol=1e-4, atol=1e-6)
            with torch.no_grad():  # a graph reads the parameters as they are when it is replayed
                change = 0.1 * torch.randn(found.shape, generator=torch.Generator().manual_seed(step)).to(GPU)
                found.add_(change)
                expected.add_(change)
    assert len(replayed._captured) == len(tables)


@pytest.mark.parametrize("objective", ["correlation", "approximation"])
def test_training_with_graphs_comes_to_what_it_comes_to_without(objective: Any) -> None:
    tables = Tables(table("margin", 1, 16, 8), table("margin", 2, 16, 8))
    settings = dataclasses.replace(SETTINGS, objective=objective)
    found = []
    for graphs in (True, False):
        loss = built("margin")
        best = loop.train(loss, tables, settings, higher_is_better=True, seed=0, graphs=graphs)
        assert best == pytest.approx(loop.held_out_correlation(loss, tables, True), abs=1e-6)
        found.append(best)
    assert found[0] == pytest.approx(found[1], abs=0.01)
    assert found[0] > 0.8


class Waiting(nn.Module):
    """A network that waits for the GPU, and so cannot be captured."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def score(self, features: Tensor, n_rows: int) -> Tensor:
        found: Tensor = self.network.score(features, n_rows)
        return found * (1.0 if features.sum().item() < 1e9 else 2.0)


def test_a_network_that_cannot_be_captured_is_trained_all_the_same() -> None:
    tables = Tables(table("margin", 1, 16, 8), table("margin", 2, 16, 8))
    found = []
    for graphs in (True, False):
        loss = built("margin")
        loss.network = Waiting(loss.network)
        found.append(loop.train(loss, tables, SETTINGS, higher_is_better=True, seed=0, graphs=graphs))
    assert found[0] == pytest.approx(found[1], abs=0.01)
