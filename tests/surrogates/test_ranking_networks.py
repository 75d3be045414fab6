from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from network_cases import NetworkCase, differs, each_level, losses_of
from torch import Tensor

from autosurrogate import surrogates, tasks
from autosurrogate.metrics.map import map as average_precision
from autosurrogate.metrics.mrr import mrr
from autosurrogate.metrics.ndcg import ndcg
from autosurrogate.metrics.recall_at_k import recall_at_k
from autosurrogate.testing.losses import finite_gradient

SETTINGS: dict[str, dict[str, Any]] = {
    "soft_ranks": {"temperatures": [0.5, 0.05]},
    "list_profile": {"temperatures": [0.5, 0.05]},
}
SHARP = 1e-5

each_network = pytest.mark.parametrize("network", SETTINGS)


def lists(n: int = 6, n_items: int = 9, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Scores and relevance of lists of several lengths."""
    generator = torch.Generator().manual_seed(seed)
    preds = 2 * torch.randn(n, n_items, generator=generator)
    target = torch.randint(0, 5, (n, n_items), generator=generator)
    length = torch.randint(2, n_items + 1, (n, 1), generator=generator)
    return preds, target.masked_fill(torch.arange(n_items) >= length, -1)


CASE = NetworkCase(
    "ranking",
    SETTINGS,
    lists,
    set_size=3,
    target_dtypes=[torch.int8, torch.int16, torch.int32, torch.float16, torch.float64],
)


def built(network: str, level: str, **changed: Any) -> Any:
    return CASE.built(network, level, **changed)


test_every_property = CASE.test()


@each_network
@each_level
@pytest.mark.parametrize("padding", [0.0, 1e4, -math.inf, math.inf, math.nan])
def test_padding_changes_nothing(network: str, level: str, padding: float) -> None:
    loss, (preds, target) = built(network, level), lists()
    more = torch.cat([preds, torch.full((6, 4), padding)], 1).requires_grad_()
    more_target = torch.cat([target, torch.full((6, 4), -1)], 1)
    found = losses_of(loss, more, more_target)
    torch.testing.assert_close(found, losses_of(loss, preds, target), atol=1e-5, rtol=1e-5)
    found.sum().backward()
    assert more.grad is not None
    assert (more.grad[more_target < 0] == 0).all()
    assert more.grad.isfinite().all()
    assert differs(losses_of(loss, preds, target.clamp_min(0)), losses_of(loss, preds, target))


@each_network
@each_level
def test_the_order_of_items_does_not_matter(network: str, level: str) -> None:
    loss, (preds, target) = built(network, level), lists()
    order = torch.randperm(9, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(
        losses_of(loss, preds[:, order], target[:, order]), losses_of(loss, preds, target), atol=1e-5, rtol=1e-5
    )
    assert differs(losses_of(loss, preds[:, order], target), losses_of(loss, preds, target))


@each_network
@each_level
@pytest.mark.parametrize("scale", [1e-3, 0.05, 30.0])
def test_the_scale_and_offset_of_scores_do_not_matter(network: str, level: str, scale: float) -> None:
    loss, (preds, target) = built(network, level), lists()
    moved = scale * preds + 7 * torch.arange(6.0)[:, None]
    torch.testing.assert_close(losses_of(loss, moved, target), losses_of(loss, preds, target), atol=2e-3, rtol=2e-3)


@each_network
@each_level
def test_scores_that_lie_close_together_have_no_larger_gradient(network: str, level: str) -> None:
    loss, (preds, target) = built(network, level), lists()
    gradients = []
    for scale in (0.1, 0.01):
        close = (scale * preds).requires_grad_()
        losses_of(loss, close, target).sum().backward()
        gradients.append(close.grad)
    torch.testing.assert_close(*gradients, atol=1e-4, rtol=1e-2)


@each_network
@each_level
@pytest.mark.parametrize("target", [[[-1, -1, -1]], [[0, 0, 0]], [[2, 2, 2]], [[1, -1, -1]], [[0, -1, -1]]])
def test_lists_without_an_order_have_a_finite_loss(network: str, level: str, target: list[list[int]]) -> None:
    preds = torch.tensor([[0.5, 1.5, -1.0]])
    finite_gradient(built(network, level), preds, torch.tensor(target))


@each_network
@each_level
@pytest.mark.parametrize("scores", [[0.0] * 4, [1e4, -1e4, 0, 1], [math.inf, -math.inf, -math.inf, 0], [1, 1, 2, 2]])
def test_extreme_and_tied_scores_give_finite_gradients(network: str, level: str, scores: list[float]) -> None:
    preds = torch.tensor([scores, [0.1, 0.4, 0.2, 0.3]])
    gradient = finite_gradient(built(network, level), preds, torch.tensor([[0, 3, 1, 0], [1, 0, 0, 2]]))
    assert gradient[1].abs().sum() > 0


@each_network
@each_level
def test_huge_grades_stay_finite(network: str, level: str) -> None:
    preds = torch.tensor([[0.5, 1.5, -1.0]])
    finite_gradient(built(network, level), preds, torch.tensor([[1000, 0, 3]]))


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


def test_ties_are_seen_between_relevant_and_irrelevant_items_alone() -> None:
    loss = built("soft_ranks", "sample", n_tie_features=1)
    assert loss.network.feature_names()[-1] == "ties"
    preds = torch.tensor([[1.0, 1.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0], [4.0, 3.0, 2.0, 1.0], [0.0, 0.0, 1.0, 0.0]])
    target = torch.tensor([[2, 1, 0, 0], [1, 0, 0, -1], [1, 0, 1, 0], [1, 0, 1, -1]])
    torch.testing.assert_close(loss.features(preds, target, 1)[:, -1], torch.tensor([0.0, 1.0, 0.0, 0.5]))
    others = built("soft_ranks", "sample").features(preds, target, 1)
    torch.testing.assert_close(loss.features(preds, target, 1)[:, :-1], others)


def profile_of(preds: Tensor, target: Tensor) -> list[dict[str, float]]:
    """Features of lists by name, at a temperature at which ranks are hard."""
    loss = built("list_profile", "sample", temperatures=[SHARP])
    names = [name.removesuffix(f" at {SHARP:g}") for name in loss.network.feature_names()]
    return [dict(zip(names, row, strict=True)) for row in loss.features(preds, target, 1).tolist()]


@pytest.mark.parametrize("seed", range(3))
def test_the_profile_of_a_list_holds_what_metrics_are_made_of(seed: int) -> None:
    preds, target = lists(20, 30, seed)
    for found, scores, relevance in zip(profile_of(preds, target), preds.numpy(), target.numpy(), strict=True):
        scores, relevance = scores[relevance >= 0], relevance[relevance >= 0]
        grades = relevance[np.argsort(-scores)].astype(float)
        rank, relevant = np.arange(1, len(grades) + 1), grades > 0
        places, good = rank[relevant], rank[grades >= 2]
        stops = (2**grades - 1) / 2 ** max(4, grades.max())
        reached = np.cumprod(np.concatenate([[1.0], 1 - np.minimum(stops, 0.98)[:-1]]))
        signs = np.sign(grades[:, None] - grades[None])
        n_irrelevant = int((~relevant).sum())
        expected = {
            "relevant down to 5": relevant[:5].sum() / 5,
            "grade 2 down to 3": (grades[:3] >= 2).sum() / 3,
            "relative grade by 0.8 to the power": (grades / max(1, grades.max()) * 0.8 ** (rank - 1)).sum() / 4,
            "absolute grade by logarithm": (2 * grades / (4 + grades) / np.log2(1 + rank)).sum() / 4,
            "ndcg of relative grade": ndcg(scores, relevance, k=len(scores)),
            "average precision": average_precision(scores, relevance),
            "stops": (reached * stops / rank).sum(),
            "graded pairs": np.triu(signs).sum() / max(1, np.abs(signs).sum() / 2),
            "pairs at the top": (np.triu(signs).sum(0)[1:] / rank[:-1]).mean(),
        }
        if relevant.any():
            expected |= {
                "recall down to 3": recall_at_k(scores, relevance, k=3),
                "reciprocal rank of relevant 1": mrr(scores, relevance),
                "depth of last relevant": 1 - places[-1] / len(grades),
                "log rank of relevant 2": -math.log(places[min(1, len(places) - 1)]) / 4,
                "irrelevant before last relevant": -math.log1p((~relevant[: places[-1]]).sum()) / 4,
                "log rank of grade 2": -math.log(good[0] if len(good) else len(grades)) / 4,
            }
        if relevant.any() and n_irrelevant:
            before = np.cumsum(~relevant)[relevant]
            expected["relevant pairs"] = 1 - before.mean() / n_irrelevant
            expected["forgiven pairs"] = (1 - before / min(len(places), n_irrelevant)).clip(min=0).mean()
        for name, value in expected.items():
            assert found[name] == pytest.approx(value, abs=0.02), name


def test_gradients_of_a_profile_are_those_of_its_features() -> None:
    network, (preds, target) = built("list_profile", "sample", temperatures=[0.5]).network, lists(2, 7)
    valid = (target >= 0).double()

    def features(scores: Tensor) -> Tensor:
        found: Tensor = network.features(scores * valid, target.clamp_min(0).double(), valid, 1)
        return found

    assert torch.autograd.gradcheck(features, (2 * preds.double()).requires_grad_(), atol=1e-4)


def test_lists_are_pooled_by_their_mean_and_some_features_by_the_worst_list_too() -> None:
    loss, (preds, target) = built("list_profile", "set", temperatures=[SHARP]), lists(40)
    names = loss.network.feature_names()
    together = dict(zip(names, loss.features(preds, target, 40)[0].tolist(), strict=True))
    alone = loss.features(preds, target, 1)
    for name in ("relevant down to 3", "average precision"):
        each = alone[:, names.index(f"{name} at {SHARP:g}")]
        assert together[f"{name} at {SHARP:g}"] == pytest.approx(float(each.mean()), abs=1e-5)
    assert together[f"worst of average precision at {SHARP:g}"] < float(each.quantile(0.25))
    assert together[f"best of average precision at {SHARP:g}"] > float(each.mean()) + 0.05
    geometric = float((each + 1e-3).log().mean()) / 7
    assert together[f"geometric mean of average precision at {SHARP:g}"] == pytest.approx(geometric, abs=1e-5)


@each_level
def test_a_monotone_head_falls_with_each_quality_and_a_free_one_does_not(level: str) -> None:
    for head in ("monotone", "free"):
        loss = built("list_profile", level, head=head)
        names = loss.network.feature_names()
        end = names.index("1 / items")
        features = torch.rand(64, len(names), requires_grad=True)
        (slope,) = torch.autograd.grad(loss.network.score(features, 1).sum(), features)
        assert (slope[:, :end] < 0).any()
        assert bool((slope[:, :end] > 0).any()) == (head == "free")
    with pytest.raises(ValueError, match="head must be 'monotone' or 'free', got 'linear'"):
        built("list_profile", level, head="linear")
