from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from autosurrogate import surrogates, tasks
from autosurrogate.metrics.map import map as average_precision
from autosurrogate.metrics.mrr import mrr
from autosurrogate.metrics.ndcg import ndcg
from autosurrogate.metrics.recall_at_k import recall_at_k

SETTINGS: dict[str, dict[str, Any]] = {"soft_ranks": {"temperatures": [0.5, 0.05]}}
SHARP = 1e-5

each_network = pytest.mark.parametrize("network", SETTINGS)
each_level = pytest.mark.parametrize("level", ["sample", "set"])


def built(network: str, level: str, **changed: Any) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        loss: Any = surrogates.build(tasks.get("ranking"), level, network, **{**SETTINGS[network], **changed})
    loss.calibration.stretch(1.7)
    return loss


def lists(n: int = 6, n_items: int = 9, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Scores and relevance of lists of several lengths."""
    generator = torch.Generator().manual_seed(seed)
    preds = 2 * torch.randn(n, n_items, generator=generator)
    target = torch.randint(0, 5, (n, n_items), generator=generator)
    length = torch.randint(2, n_items + 1, (n, 1), generator=generator)
    return preds, target.masked_fill(torch.arange(n_items) >= length, -1)


def of(loss: Any, preds: Tensor, target: Tensor) -> Tensor:
    """The loss of each list, or of the set."""
    found: Tensor = loss.per_sample(preds, target) if hasattr(loss, "per_sample") else loss(preds, target)[None]
    return found


def differs(a: Tensor, b: Tensor) -> bool:
    return bool((a - b).abs().max() > 1e-4)


def test_all_networks_are_tested() -> None:
    assert set(SETTINGS) == set(surrogates.networks(tasks.get("ranking")))


@each_network
def test_a_batch_s_loss_is_the_mean_of_its_lists(network: str) -> None:
    loss = built(network, "sample")
    preds, target = lists()
    assert loss.per_sample(preds, target).shape == (6,)
    torch.testing.assert_close(loss(preds, target), loss.per_sample(preds, target).mean())
    assert differs(loss.per_sample(preds, target), loss.per_sample(preds, target).mean())
    assert not hasattr(built(network, "set"), "per_sample")


@each_network
@each_level
@pytest.mark.parametrize("padding", [0.0, 1e4, -math.inf, math.inf, math.nan])
def test_padding_changes_nothing(network: str, level: str, padding: float) -> None:
    loss, (preds, target) = built(network, level), lists()
    more = torch.cat([preds, torch.full((6, 4), padding)], 1).requires_grad_()
    more_target = torch.cat([target, torch.full((6, 4), -1)], 1)
    found = of(loss, more, more_target)
    torch.testing.assert_close(found, of(loss, preds, target), atol=1e-5, rtol=1e-5)
    found.sum().backward()
    assert more.grad is not None
    assert (more.grad[more_target < 0] == 0).all()
    assert more.grad.isfinite().all()
    assert differs(of(loss, preds, target.clamp_min(0)), of(loss, preds, target))


@each_network
@each_level
def test_the_order_of_items_does_not_matter(network: str, level: str) -> None:
    loss, (preds, target) = built(network, level), lists()
    order = torch.randperm(9, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(
        of(loss, preds[:, order], target[:, order]), of(loss, preds, target), atol=1e-5, rtol=1e-5
    )
    assert differs(of(loss, preds[:, order], target), of(loss, preds, target))


@each_network
@each_level
def test_the_order_of_lists_does_not_matter(network: str, level: str) -> None:
    loss, (preds, target) = built(network, level), lists()
    order = torch.randperm(6, generator=torch.Generator().manual_seed(1))
    expected = of(loss, preds, target)
    torch.testing.assert_close(
        of(loss, preds[order], target[order]), expected[order] if level == "sample" else expected, atol=1e-5, rtol=1e-5
    )


@each_network
@each_level
@pytest.mark.parametrize("scale", [0.05, 30.0])
def test_the_scale_and_offset_of_scores_do_not_matter(network: str, level: str, scale: float) -> None:
    loss, (preds, target) = built(network, level), lists()
    moved = scale * preds + 7 * torch.arange(6.0)[:, None]
    torch.testing.assert_close(of(loss, moved, target), of(loss, preds, target), atol=2e-3, rtol=2e-3)


@each_network
@each_level
def test_scores_that_lie_close_together_have_no_larger_gradient(network: str, level: str) -> None:
    loss, (preds, target) = built(network, level), lists()
    gradients = []
    for scale in (0.1, 0.01):
        close = (scale * preds).requires_grad_()
        of(loss, close, target).sum().backward()
        gradients.append(close.grad)
    torch.testing.assert_close(*gradients, atol=1e-4, rtol=1e-2)


@each_network
@each_level
@pytest.mark.parametrize("dtype", [torch.int8, torch.int16, torch.int32, torch.float16, torch.float64])
def test_any_dtype_of_relevance(network: str, level: str, dtype: torch.dtype) -> None:
    loss, (preds, target) = built(network, level), lists()
    torch.testing.assert_close(of(loss, preds, target.to(dtype)), of(loss, preds, target), atol=0, rtol=0)


@each_network
@each_level
@pytest.mark.parametrize("target", [[[-1, -1, -1]], [[0, 0, 0]], [[2, 2, 2]], [[1, -1, -1]], [[0, -1, -1]]])
def test_lists_without_an_order_have_a_finite_loss(network: str, level: str, target: list[list[int]]) -> None:
    preds = torch.tensor([[0.5, 1.5, -1.0]]).requires_grad_()
    found = built(network, level)(preds, torch.tensor(target))
    found.backward()
    assert found.isfinite()
    assert preds.grad is not None
    assert preds.grad.isfinite().all()


@each_network
@each_level
@pytest.mark.parametrize("scores", [[0.0] * 4, [1e4, -1e4, 0, 1], [math.inf, -math.inf, -math.inf, 0], [1, 1, 2, 2]])
def test_extreme_and_tied_scores_give_finite_gradients(network: str, level: str, scores: list[float]) -> None:
    preds = torch.tensor([scores, [0.1, 0.4, 0.2, 0.3]]).requires_grad_()
    found = built(network, level)(preds, torch.tensor([[0, 3, 1, 0], [1, 0, 0, 2]]))
    found.backward()
    assert found.isfinite()
    assert preds.grad is not None
    assert preds.grad.isfinite().all()
    assert preds.grad[1].abs().sum() > 0


@each_network
@each_level
def test_huge_grades_stay_finite(network: str, level: str) -> None:
    preds = torch.tensor([[0.5, 1.5, -1.0]]).requires_grad_()
    found = built(network, level)(preds, torch.tensor([[1000, 0, 3]]))
    found.backward()
    assert found.isfinite()
    assert preds.grad is not None
    assert preds.grad.isfinite().all()


@each_network
@each_level
def test_it_is_the_loss_of_each_point_that_training_sees(network: str, level: str) -> None:
    loss, (preds, target) = built(network, level), lists()
    size = 1 if level == "sample" else 3
    points = loss.points(preds, target, size)
    for i in range(0, 6, size):
        torch.testing.assert_close(points[i // size], loss(preds[i : i + size], target[i : i + size]))


@each_network
def test_features_and_columns_are_as_many(network: str) -> None:
    loss, (preds, target) = built(network, "set"), lists()
    features = loss.features(preds, target, 3)
    assert features.shape == (6 // 3 * loss.network.n_rows(3), len(loss.network.feature_names()))
    assert len(set(loss.network.feature_names())) == len(loss.network.feature_names())


@each_network
def test_whatever_the_parameters_it_does_not_fall_as_the_order_gets_worse(network: str) -> None:
    best = torch.tensor([[4.0, 3.0, 2.0, 1.0, 0.0]])
    target = torch.tensor([[3, 2, 1, 0, 0]])
    for seed in range(5):
        torch.manual_seed(seed)
        loss: Any = surrogates.build(tasks.get("ranking"), "sample", network, **SETTINGS[network])
        one_swap, reversed_order = best[:, [1, 0, 2, 3, 4]], best.flip(1)
        assert loss(best, target) < loss(one_swap, target) < loss(reversed_order, target)


@pytest.mark.parametrize("seed", range(4))
def test_sharp_soft_ranks_give_the_metrics(seed: int) -> None:
    loss = built("soft_ranks", "sample", temperatures=[SHARP])
    preds, target = lists(20, 30, seed)
    columns, features = loss.network.feature_names(), loss.features(preds, target, 1)
    for row, scores, relevance in zip(features.tolist(), preds.numpy(), target.numpy(), strict=True):
        scores, relevance = scores[relevance >= 0], relevance[relevance >= 0]
        expected = {
            "reciprocal rank": mrr(scores, relevance),
            "average precision": average_precision(scores, relevance),
        }
        for k in (1, 3, 5, 10, 20):
            expected[f"ndcg at {k}"] = ndcg(scores, relevance, k=k)
            expected[f"exponential ndcg at {k}"] = ndcg(scores, relevance, k=k, exponential=True)
            expected[f"recall at {k}"] = recall_at_k(scores, relevance, k=k)
        expected["ndcg of all"] = ndcg(scores, relevance, k=len(scores))
        ranks = np.empty(len(scores))
        ranks[np.argsort(-scores)] = places = np.arange(1, len(scores) + 1)
        best, worst = (np.sort(relevance)[::step] @ places for step in (-1, 1))
        expected["order"] = 1 - (relevance @ ranks - best) / (worst - best) if worst > best else 1.0
        for name, value in expected.items():
            assert row[columns.index(f"{name} at {SHARP:g}")] == pytest.approx(value, abs=0.02), name


def test_smooth_soft_ranks_reach_items_far_apart() -> None:
    preds = torch.tensor([[8.0, 1.0, 0.9, -8.0]]).requires_grad_()  # the only relevant item is the last
    built("soft_ranks", "sample", temperatures=[1.0])(preds, torch.tensor([[0, 0, 0, 1]])).backward()
    assert preds.grad is not None
    assert preds.grad[0, 3] < -1e-3
