from __future__ import annotations

import numpy as np
import pytest
import torch

from autosurrogate import tasks
from autosurrogate.evaluation.strata import order_by_stratum
from autosurrogate.examples import Examples
from autosurrogate.points.labelled_set import Chunk
from autosurrogate.tasks import REGIMES

N_POINTS = 60
TASK = tasks.get("classification")


def chunk(set_size: int, regime: torch.Tensor | None, seed: int) -> Chunk:
    values = torch.rand(N_POINTS, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    rows = N_POINTS * set_size
    return Chunk(Examples(torch.zeros(rows, 2), torch.zeros(rows)), set_size, values, None, regime)


def chunks() -> list[Chunk]:
    regime = torch.arange(N_POINTS, dtype=torch.int8) % 2  # trained and untrained in turn
    return [chunk(4, regime, 0), chunk(16, regime, 1)]


def test_each_kind_of_points_is_ordered_on_its_own() -> None:
    given = chunks()
    values = np.concatenate([c.values.numpy() for c in given])
    untrained = np.concatenate([c.regime.numpy() for c in given if c.regime is not None]) == REGIMES.index("untrained")
    losses = np.where(untrained, values, -values)  # upside down on untrained models
    rows = {row.name: row for row in order_by_stratum(TASK, losses, -values, given, higher_is_better=True)}
    assert rows["trained models"].loss_somers_d == pytest.approx(1.0)
    assert rows["untrained models"].loss_somers_d == pytest.approx(-1.0)
    assert rows["untrained models"].n_points == N_POINTS
    assert all(row.regular_loss_somers_d == pytest.approx(1.0) for row in rows.values())
    assert set(rows) == {
        "all points", "trained models", "untrained models", "the worst third", "the middle third", "the best third",
        "sets of 4", "sets of 16",
    }  # fmt: skip
    assert rows["the best third"].n_points == 2 * N_POINTS // 3


def test_thirds_are_of_quality_whatever_the_direction() -> None:
    given = chunks()
    values = np.concatenate([c.values.numpy() for c in given])
    best = values <= np.sort(values)[2 * N_POINTS // 3 - 1]
    losses = np.where(best, values, np.random.default_rng(0).normal(size=len(values)))
    rows = {row.name: row for row in order_by_stratum(TASK, losses, values, given, higher_is_better=False)}
    assert rows["the best third"].loss_somers_d == pytest.approx(1.0)
    assert abs(rows["the worst third"].loss_somers_d) < 0.4


def test_recorded_points_have_no_regimes_and_few_points_no_row() -> None:
    given = [chunk(1, None, 0)]
    values = given[0].values.numpy()
    names = [row.name for row in order_by_stratum(TASK, -values, -values, given, higher_is_better=True)]
    assert names == ["all points", "the worst third", "the middle third", "the best third"]
    few = [given[0].select(torch.arange(20))]  # of which a third is too little
    rows = order_by_stratum(TASK, -values[:20], -values[:20], few, higher_is_better=True)
    assert [row.name for row in rows] == ["all points"]


def test_points_of_trained_models_are_divided_by_their_traits() -> None:
    given = [chunk(4, None, 0)]
    spread = torch.linspace(0.1, 5.0, N_POINTS).repeat_interleave(4)
    preds = spread[:, None] * torch.tensor([[1.0, -1.0]])
    sharp = [Chunk(given[0].examples.with_preds(preds), 4, given[0].values, None)]
    values = sharp[0].values.numpy()
    losses = np.where(np.arange(N_POINTS) < N_POINTS // 3, values, -values)  # upside down on the least sharp
    rows = {row.name: row for row in order_by_stratum(TASK, losses, -values, sharp, higher_is_better=True)}
    assert rows["the third with the lowest sharpness"].loss_somers_d == pytest.approx(-1.0)
    assert rows["the third with the highest sharpness"].loss_somers_d == pytest.approx(1.0)
    assert rows["the third with the lowest sharpness"].n_points == N_POINTS // 3
