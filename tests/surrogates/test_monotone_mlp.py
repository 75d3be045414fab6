from __future__ import annotations

from typing import Any

import pytest
import torch

from autosurrogate import surrogates, tasks
from autosurrogate.surrogates._monotone_mlp import MonotoneMLP


def built(seed: int, n_context: int = 2, n_hidden: int = 2) -> MonotoneMLP:
    torch.manual_seed(seed)
    return MonotoneMLP(3, n_context, 8, n_hidden)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("n_hidden", [1, 2, 3])
def test_it_falls_as_any_quality_rises(seed: int, n_hidden: int) -> None:
    layers = built(seed, n_hidden=n_hidden)
    for parameter in layers.parameters():
        parameter.data.mul_(3)
    input = 4 * torch.randn(200, 5, requires_grad=True)
    (gradient,) = torch.autograd.grad(layers(input).sum(), input)
    assert (gradient[:, :3] < 0).all()
    assert (gradient[:, 3:] > 0).any()
    assert (gradient[:, 3:] < 0).any()


def test_without_context_there_is_none() -> None:
    assert built(0, n_context=0)(torch.randn(4, 3)).shape == (4, 1)


@pytest.mark.parametrize("bend", [-1.0, 1.0])
def test_it_can_bend_either_way(bend: float) -> None:
    # Squares of weights alone with ELU would be convex.
    x = torch.linspace(-1, 1, 64)[:, None]
    wanted = -torch.expm1(2 * bend * x) * bend
    torch.manual_seed(0)
    layers = MonotoneMLP(1, 0, 8, 1)
    optimiser = torch.optim.Adam(layers.parameters(), lr=0.03)
    for _ in range(600):
        error = (layers(x) - wanted).square().mean()
        optimiser.zero_grad()
        error.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    assert error < 0.01 * wanted.var()


def test_it_computes_in_the_dtype_of_its_input() -> None:
    layers = built(0)
    input = torch.randn(4, 5, dtype=torch.float64)
    assert layers(input).dtype == torch.float64
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(layers(input.float()), layers(input).float())


@pytest.mark.parametrize(
    ("task", "network", "settings", "context"),
    [
        ("classification", "confusion", {"temperatures": [1.0, 0.1]}, {"chance", "spread", "classes", "balance"}),
        ("scores", "order", {"temperatures": [1.0, 0.1]}, {"prevalence", "1 / positives"}),
        ("scores", "top", {"temperatures": [1.0], "tops": [3]}, {"prevalence", "1 / positives"}),
        ("scores", "counts", {"temperatures": [1.0], "thresholds": [0.5]}, {"prevalence"}),
        ("segmentation", "overlap", {"temperatures": [1.0, 0.1]}, {"classes", "balance"}),
        ("segmentation", "boundary", {"temperatures": [1.0], "radii": [1, 2]}, {"longer", "classes", "share"}),
        ("detection", "matching", {"temperatures": [1.0, 0.1]}, {"classes"}),
        ("sequence", "match", {"temperatures": [1.0, 0.1]}, {"brevity", "length ratio", "1 / length"}),
        ("sequence", "align", {"temperatures": [1.0, 0.1]}, {"written", "length ratio", "as long"}),
    ],
)
def test_networks_fall_as_what_they_call_qualities_rises(
    task: str, network: str, settings: dict[str, Any], context: set[str]
) -> None:
    torch.manual_seed(0)
    built: Any = surrogates.networks(tasks.get(task))[network](**settings)
    features = torch.randn(100, len(built.feature_names()), requires_grad=True)
    (gradient,) = torch.autograd.grad(built.score(features, 1).sum(), features)
    rises = {
        column.partition(" at ")[0]
        for column, g in zip(built.feature_names(), gradient.T, strict=True)
        if (g > 0).any()
    }
    assert rises - {"1 / reference length"} <= context
    assert rises  # of any effect


def test_the_loss_of_margins_falls_as_any_margin_rises() -> None:
    torch.manual_seed(0)
    network: Any = surrogates.networks(tasks.get("classification"))["margin"](temperatures=[1.0, 0.1], n_competitors=2)
    features = torch.cat([torch.randn(40, 4), torch.ones(40, 1)], 1).requires_grad_()
    (gradient,) = torch.autograd.grad(network.score(features, 8).sum(), features)
    assert (gradient[:, :4] < 0).all()
