from __future__ import annotations

from typing import Any

import pytest
import torch

from autosurrogate.training import order
from autosurrogate.training.feature_table import FeatureTable
from autosurrogate.training.loop import Tables


def table(values: torch.Tensor, features: torch.Tensor, regime: torch.Tensor | None = None) -> FeatureTable:
    return FeatureTable(features.view(-1, 1, 1).float(), None, values, ("x",), None if regime is None else regime == 0)


class Identity(torch.nn.Module):
    """A network whose score is its only feature."""

    def score(self, features: torch.Tensor, n_rows: int) -> torch.Tensor:
        return features[:, 0]


@pytest.fixture
def loss() -> Any:
    loss: Any = torch.nn.Module()
    loss.network, loss.sign = Identity(), torch.tensor(1.0)
    return loss


def test_the_worst_kind_counts(loss: Any) -> None:
    values = torch.linspace(0, 1, 80, dtype=torch.float64)
    regime = (torch.arange(80) % 2).to(torch.int8)
    features = torch.where(regime == 1, values, -values)  # upside down on untrained models
    tables = Tables([], [table(values, features, regime)])
    assert order.worst_somers_d(loss, tables, higher_is_better=True) == pytest.approx(-1.0)
    assert order.worst_somers_d(loss, tables, higher_is_better=False) == pytest.approx(-1.0)
    good = Tables([], [table(values, -values, regime)])
    assert order.worst_somers_d(loss, good, higher_is_better=True) == pytest.approx(1.0)
    recorded = Tables([], good.held_out, (), [table(values, values)])
    assert order.worst_somers_d(loss, recorded, higher_is_better=True) == pytest.approx(-1.0)


def test_a_kind_of_few_points_and_a_constant_metric_are_left_out(loss: Any) -> None:
    values = torch.linspace(0, 1, 80, dtype=torch.float64)
    regime = torch.zeros(80, dtype=torch.int8)
    regime[: order.MIN_POINTS - 1] = 1
    features = torch.where(regime == 1, values, -values)
    tables = Tables([], [table(values, features, regime)])
    assert order.worst_somers_d(loss, tables, higher_is_better=True) == pytest.approx(1.0)
    constant = Tables([], [table(torch.ones(80, dtype=torch.float64), values)])
    assert order.worst_somers_d(loss, constant, higher_is_better=True) == 0.0
