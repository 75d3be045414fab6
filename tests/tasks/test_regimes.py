from __future__ import annotations

import pytest
import torch

from autosurrogate import tasks
from autosurrogate.points import sampling
from autosurrogate.points.severity_calibration import N_LEVELS, Severities
from autosurrogate.registry.lookup import find
from autosurrogate.tasks import REGIMES, TRAINED, assign_regimes
from autosurrogate.tasks._draw import Draw
from autosurrogate.tasks._regimes import FRACTIONS, of_logits

SEVERITIES = Severities(tuple(i / (N_LEVELS - 1) for i in range(N_LEVELS)), (1.0,) * N_LEVELS)


def logits(n_sets: int = 400, set_size: int = 16, n_entries: int = 6) -> torch.Tensor:
    return 2 * torch.randn(n_sets, set_size, n_entries, generator=torch.Generator().manual_seed(0))


def in_regime(regime: str, given: torch.Tensor) -> torch.Tensor:
    return of_logits(given, regime, Draw(torch.Generator().manual_seed(1)))


def test_points_are_in_each_regime_as_often_as_declared() -> None:
    regime = assign_regimes(20_000, REGIMES[1:], torch.Generator().manual_seed(0))
    for number, name in enumerate(REGIMES[1:], 1):
        assert (regime == number).float().mean() == pytest.approx(FRACTIONS[name], abs=0.01)


def test_a_task_without_regimes_generates_trained_models_alone() -> None:
    assert (assign_regimes(100, (), torch.Generator()) == REGIMES.index(TRAINED)).all()


def test_untrained_logits_are_nearly_equal_and_keep_some_order() -> None:
    given = logits()
    changed = in_regime("untrained", given)
    spread = changed.std(2).flatten(1).mean(1)
    assert spread.max() < 2 * 0.3 * 6
    assert spread.median() < 0.2
    assert spread.min() < 0.01
    same = (changed.argmax(2) == given.argmax(2)).float().mean(1)
    assert (same > 0.9).float().mean() > 0.3  # those without a preference
    assert (same < 0.5).float().mean() > 0.1  # those with a strong one
    largest, second = changed.topk(2, 2).values.unbind(2)
    assert (largest == second).float().mean() > 0.02  # exact ties


def test_collapsed_logits_prefer_one_entry() -> None:
    best = in_regime("collapsed", logits()).argmax(2)
    most_frequent = torch.nn.functional.one_hot(best).float().mean(1).max(1).values
    assert (most_frequent > 0.9).float().mean() > 0.4


def test_saturated_logits_are_far_apart_in_the_same_order() -> None:
    given = logits()
    changed = in_regime("saturated", given)
    assert torch.equal(changed.argsort(2), given.argsort(2))
    assert 10 < changed.std(2).mean() < 60


def test_entries_that_are_ruled_out_stay_so() -> None:
    given = logits()
    given[..., 2] = -torch.inf
    for regime in REGIMES:
        changed = in_regime(regime, given)
        assert (changed[..., 2] == -torch.inf).all()
        assert changed[..., [0, 1, 3, 4, 5]].isfinite().all()


def test_a_chunk_says_the_regime_of_each_point_and_leaves_trained_ones_alone() -> None:
    accuracy = find("accuracy")
    task = tasks.get("classification")
    chunk = sampling.generate_chunk(task, accuracy, SEVERITIES, 0, "train", 0)
    assert chunk.regime.shape == chunk.severity.shape
    assert set(chunk.regime.tolist()) <= set(range(len(REGIMES)))
    spread = chunk.examples.preds.std(1).view(-1, chunk.set_size).mean(1)
    untrained = torch.from_numpy(chunk.regime == REGIMES.index("untrained"))
    assert spread[untrained].median() < 0.3 * spread[torch.from_numpy(chunk.regime == 0)].median()
