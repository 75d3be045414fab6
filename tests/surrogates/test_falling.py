from __future__ import annotations

import pytest
import torch

from autosurrogate.surrogates._falling import Falling


def built(seed: int, n_context: int = 2, n_hidden: int = 2) -> Falling:
    torch.manual_seed(seed)
    return Falling(3, n_context, 8, n_hidden)


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
    layers = Falling(1, 0, 8, 1)
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
