from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from generated_points import CPU, TASK, labelled, target_probability

from autosurrogate import surrogates, tasks
from autosurrogate.evaluation import point_losses
from autosurrogate.evaluation.point_losses import (
    compare,
    gradient_norms,
    loss_of_points,
    losses_on,
    regular_of_points,
)
from autosurrogate.examples import Examples
from autosurrogate.points.labelled_set import Chunk
from autosurrogate.rank_correlation.agreement import Agreement
from autosurrogate.registry.lookup import find


def test_the_regular_loss_of_a_point_is_the_mean_over_its_targets() -> None:
    preds = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    target = torch.tensor([0, -100, 3, -100, -100, 2])
    found = regular_of_points(TASK)(Examples(preds, target), 2)
    expected = torch.stack([F.cross_entropy(preds[i : i + 2], target[i : i + 2]) for i in (0, 2, 4)])
    torch.testing.assert_close(found, expected)


def test_the_regular_loss_of_a_point_without_targets_is_0() -> None:
    found = regular_of_points(TASK)(Examples(torch.randn(4, 3), torch.tensor([-100, -100, 1, 0])), 2)
    assert found[0] == 0
    assert found[1] > 0


def test_the_regular_loss_of_a_set_of_sequences_is_the_mean_of_its_examples() -> None:
    chunk = labelled(0, 4, 3, find("corpus_bleu"))
    task = tasks.get("sequence")
    found = regular_of_points(task)(chunk.examples, 3)
    torch.testing.assert_close(found, task.regular_loss(chunk.examples).view(4, 3).mean(1))


def test_the_loss_of_points_is_the_loss_of_each() -> None:
    chunk = labelled(0, 4)
    torch.manual_seed(0)
    loss = surrogates.build(tasks.get("classification"), "set", "margin", temperatures=[1.0])
    found = loss_of_points(loss, TASK)(chunk.examples, 32)
    expected = [loss(chunk.examples.preds[i : i + 32], chunk.examples.target[i : i + 32]) for i in range(0, 128, 32)]
    torch.testing.assert_close(found, torch.stack(expected))


def agreement(sign: int, chunks: list[Chunk], *, higher_is_better: bool = True) -> Agreement:
    return compare(losses_on(target_probability(sign), chunks, CPU), chunks, higher_is_better)


def test_comparing_ranks_all_chunks_together_and_does_not_depend_on_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    chunks = [labelled(0), labelled(1)]
    whole = agreement(-1, chunks)
    assert 0.4 < whole.spearman < 1
    assert agreement(1, chunks).spearman == pytest.approx(-whole.spearman)
    assert agreement(1, chunks, higher_is_better=False).spearman == pytest.approx(whole.spearman)
    monkeypatch.setattr(point_losses, "BLOCK_NUMBERS", 1)
    assert agreement(-1, chunks).spearman == pytest.approx(whole.spearman, abs=1e-12)


def test_intervals_are_of_chunks_not_of_points_alone() -> None:
    """The same points in one chunk and in chunks that lie apart: the wider interval is of the latter."""
    whole = labelled(0, 64, 1, find("accuracy"))
    order = torch.argsort(whole.values + 1e-3 * torch.arange(64))

    def of(rows: torch.Tensor) -> Chunk:
        return Chunk(whole.examples[rows], 1, whole.values[rows], None)

    apart = agreement(-1, [of(rows) for rows in order.split(8)])
    together = of(order)
    assert apart.spearman == agreement(-1, [together]).spearman
    low, high = agreement(-1, [together]).spearman_interval
    assert apart.spearman_interval[1] - apart.spearman_interval[0] > 1.2 * (high - low)


@pytest.mark.parametrize("limit", [1, 1000, 10**9])
def test_blocks_are_whole_points_in_order(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(point_losses, "BLOCK_NUMBERS", limit)
    chunk = labelled(0, 7, 4)
    found = list(point_losses.blocks(chunk.examples, 4))
    assert all(len(block) % 4 == 0 and len(block) > 0 for block in found)
    assert torch.equal(torch.cat([block.preds for block in found]), chunk.examples.preds)


def test_gradient_norms_are_those_of_each_point() -> None:
    chunk = labelled(0, 5)
    found = gradient_norms(target_probability(-1), [chunk], tasks.get("classification"), CPU)
    for i in range(5):
        one = chunk.examples[slice(32 * i, 32 * (i + 1))]
        preds = one.preds.clone().requires_grad_()
        target_probability(-1)(one.with_preds(preds), 32).sum().backward()
        assert preds.grad is not None
        assert float(found[i]) == pytest.approx(float(preds.grad.norm()), rel=1e-4)
