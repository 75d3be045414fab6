from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch

from autosurrogate import surrogates, tasks
from autosurrogate.points.labelled_set import Chunk
from autosurrogate.training import loop
from autosurrogate.training.feature_table import FeatureTable, tabulate
from autosurrogate.training.gradients import gradient_penalty, score
from autosurrogate.training.loop import Settings, Tables, held_out_correlation, losses, rank_correlation, train

CPU = torch.device("cpu")
SET_SIZE = 16
SETTINGS = Settings(n_steps=120, batch_points=48, learning_rate=0.01, weight_decay=1e-4, penalty=0.05)


@pytest.fixture(autouse=True)
def _own_randomness() -> Iterator[None]:
    with torch.random.fork_rng():
        yield


def built(seed: int = 0) -> Any:
    torch.manual_seed(seed)
    return surrogates.build(
        tasks.get("classification"), "set", "margin", temperatures=[0.3, 0.1], n_competitors=2, width=8, n_outputs=4
    )


def table(seed: int, n_chunks: int, n_points: int = 40, set_size: int = SET_SIZE) -> tuple[FeatureTable, ...]:
    """Points of accuracy."""
    chunks = []
    for k in range(n_chunks):
        generator = torch.Generator().manual_seed(1000 * seed + k)
        made = tasks.get("classification").generate(torch.rand(n_points, generator=generator), generator, set_size)
        hits = (made.preds.argmax(1) == made.target).double().view(-1, set_size).mean(1)
        chunks.append(Chunk(made, set_size, hits, None))
    return tabulate(built(), tasks.get("classification"), chunks, CPU)


@pytest.fixture(scope="module")
def tables() -> Tables:
    return Tables(table(1, 6), table(2, 4))


def turned(points: Sequence[FeatureTable]) -> list[FeatureTable]:
    return [dataclasses.replace(one, values=-one.values) for one in points]


@pytest.mark.parametrize(("soft_rank", "steepness"), [("pairwise", 8.0), ("diffsort", 30.0)])
@pytest.mark.slow
def test_a_small_table_is_learned(tables: Tables, soft_rank: str, steepness: float) -> None:
    loss = built()
    settings = dataclasses.replace(SETTINGS, soft_rank=soft_rank, steepness=steepness)
    best = train(loss, tables, settings, higher_is_better=True, seed=0)
    assert best > 0.9
    expected = -scipy.stats.spearmanr(losses(loss, tables.held_out).detach(), tables.held_out[0].values).statistic
    assert best == pytest.approx(expected, abs=1e-9)


def test_noise_is_not_learned(tables: Tables) -> None:
    (generated,), (held_out,) = tables.generated, tables.held_out
    mixed = torch.randperm(len(generated), generator=torch.Generator().manual_seed(0))
    noise = dataclasses.replace(generated, values=generated.values[mixed])
    held_out = dataclasses.replace(held_out, values=held_out.values.flip(0))
    assert train(built(), Tables([noise], [held_out]), SETTINGS, higher_is_better=True, seed=0) < 0.4


def test_a_metric_where_lower_is_better_is_learned_alike(tables: Tables) -> None:
    loss, other = built(), built()
    lower = Tables(turned(tables.generated), turned(tables.held_out))
    first = train(loss, tables, SETTINGS, higher_is_better=True, seed=0)
    assert train(other, lower, SETTINGS, higher_is_better=False, seed=0) == pytest.approx(first, abs=0.03)
    assert rank_correlation(other, lower.held_out, False) == pytest.approx(first, abs=0.03)


@pytest.mark.parametrize("scale", [1.0, -1.0])
@pytest.mark.slow
def test_a_start_of_either_sign_arrives(tables: Tables, scale: float) -> None:
    loss = built()
    loss.sign.fill_(scale)
    settings = dataclasses.replace(SETTINGS, n_steps=250)  # the first of them are lost
    assert train(loss, tables, settings, higher_is_better=True, seed=0) > 0.9
    assert rank_correlation(loss, tables.held_out, True) > 0.9


def test_the_approximation_objective_learns_the_value_itself(tables: Tables) -> None:
    loss = built()
    settings = dataclasses.replace(SETTINGS, n_steps=200, penalty=0.0, objective="approximation")
    assert train(loss, tables, settings, higher_is_better=True, seed=0) > 0.9
    error = losses(loss, tables.held_out).detach() - (1 - tables.held_out[0].values)
    assert float(error.square().mean().sqrt()) < 0.15


@pytest.mark.slow
def test_the_penalty_draws_gradients_to_a_norm_of_1(tables: Tables) -> None:
    def off(penalty: float) -> float:
        loss = built()
        train(loss, tables, dataclasses.replace(SETTINGS, penalty=penalty, n_steps=300), higher_is_better=True, seed=0)
        features = tables.held_out[0].features.clone().requires_grad_()
        found = gradient_penalty(score(loss, features), features, tables.held_out[0].gram)
        return float(found.detach())

    assert off(10.0) < 0.5 * off(0.0)


def test_the_best_checkpoint_is_kept(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "EVALUATE_EVERY", 5)
    settings = dataclasses.replace(SETTINGS, learning_rate=0.5, n_steps=60, penalty=1.0, patience=1.0)  # too fast
    loss, seen, states = built(), list[float](), list[dict[str, Any]]()

    def report(step: int, found: float) -> None:
        seen.append(found)
        states.append(copy.deepcopy(loss.state_dict()))

    best = train(loss, tables, settings, higher_is_better=True, seed=0, report=report)
    assert len(seen) == 12
    assert best == max(seen)
    assert seen.index(best) < len(seen) - 1  # else it shows nothing
    assert all(torch.equal(v, states[seen.index(best)][k]) for k, v in loss.state_dict().items())
    assert rank_correlation(loss, tables.held_out, True) == best


@pytest.mark.slow
def test_training_ends_where_the_correlation_does_not_rise_any_more(tables: Tables) -> None:
    def courses(patience: float) -> list[float]:
        seen: list[float] = []
        settings = dataclasses.replace(SETTINGS, n_steps=1000, patience=patience)
        train(built(), tables, settings, higher_is_better=True, seed=0, report=lambda _, found: seen.append(found))
        return seen

    whole, ended = courses(1.0), courses(0.1)
    assert len(whole) == 50
    assert len(ended) < 50
    assert ended == whole[: len(ended)]
    before, last = max(ended[:-5]), max(ended[-5:])  # a tenth of the steps are five checkpoints
    assert last - before <= loop.MIN_GAIN * (1 - before)
    assert max(whole) - max(ended) < 0.01  # what was to be had was had


def test_the_last_step_is_a_checkpoint_and_time_can_run_out_at_any(tables: Tables) -> None:
    steps: list[int] = []
    settings = dataclasses.replace(SETTINGS, n_steps=50, patience=1.0)
    train(built(), tables, settings, higher_is_better=True, seed=0, report=lambda step, _: steps.append(step))
    assert steps == [20, 40, 50]
    steps.clear()
    train(built(), tables, settings, higher_is_better=True, seed=0, report=lambda step, _: steps.append(step),
          out_of_time=lambda: True)  # fmt: skip
    assert steps == [20]


def test_the_same_seed_gives_the_same_loss_and_another_another(tables: Tables) -> None:
    settings = dataclasses.replace(SETTINGS, n_steps=20)
    trained = [built() for _ in range(3)]
    for loss, seed in zip(trained, (0, 0, 1), strict=True):
        torch.rand(seed + 1)  # what others draw does not matter
        train(loss, tables, settings, higher_is_better=True, seed=seed)
    first, again, other = (torch.cat([p.flatten() for p in loss.parameters()]) for loss in trained)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.slow
def test_batches_are_drawn_from_recorded_points_by_their_share(tables: Tables) -> None:
    # Recorded points say the opposite: what is learned tells where the batches came from.
    opposite = Tables(tables.generated, tables.held_out, turned(tables.generated), turned(tables.held_out))
    found = {}
    for share in (0.0, 1.0):
        loss = built()
        held_out = Tables(opposite.generated, opposite.held_out, opposite.recorded, opposite.held_out)
        if share == 0.0:
            held_out = dataclasses.replace(held_out, held_out=turned(tables.held_out),
                                           recorded_held_out=turned(tables.held_out))  # fmt: skip
        settings = dataclasses.replace(SETTINGS, random_share=share, n_steps=250)
        train(loss, held_out, settings, higher_is_better=True, seed=0)
        found[share] = rank_correlation(loss, tables.held_out, True)
    assert found[1.0] > 0.9
    assert found[0.0] < -0.9


def test_points_of_several_set_sizes_are_learned_together() -> None:
    mixed = Tables([*table(1, 2), *table(3, 2, set_size=4)], [*table(2, 2), *table(4, 2, set_size=4)])
    loss = built()
    best = train(loss, mixed, SETTINGS, higher_is_better=True, seed=0)
    assert best == rank_correlation(loss, mixed.held_out, True) > 0.85
    pooled = [part.values for part in mixed.held_out]
    expected = -scipy.stats.spearmanr(losses(loss, mixed.held_out).detach(), torch.cat(pooled)).statistic
    assert best == pytest.approx(expected, abs=1e-9)
    assert all(rank_correlation(loss, [part], True) > 0.8 for part in mixed.held_out)


def test_held_out_points_of_both_kinds_count_alike(tables: Tables) -> None:
    loss = built()
    both = dataclasses.replace(tables, recorded_held_out=turned(tables.held_out))
    assert held_out_correlation(loss, both, True) == pytest.approx(0, abs=1e-12)
    assert held_out_correlation(loss, tables, True) == rank_correlation(loss, tables.held_out, True)


def test_a_constant_loss_has_no_correlation(tables: Tables) -> None:
    loss = built()
    loss.sign.zero_()
    assert rank_correlation(loss, tables.held_out, True) == 0.0


@pytest.mark.parametrize(
    "n_steps",
    [1, 2, 5, 9, 10, 20],
)
def test_few_steps_are_enough(tables: Tables, n_steps: int) -> None:
    settings = dataclasses.replace(SETTINGS, n_steps=n_steps)
    assert np.isfinite(train(built(), tables, settings, higher_is_better=True, seed=0))


def test_batches_larger_than_the_table_take_all_of_it(tables: Tables) -> None:
    settings = dataclasses.replace(SETTINGS, n_steps=2, batch_points=100_000)
    assert np.isfinite(train(built(), tables, settings, higher_is_better=True, seed=0))
