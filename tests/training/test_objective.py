from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from autosurrogate.rank_correlation.soft_ranks import METHODS
from autosurrogate.training.objective import approximation, correlation, hard_rank

each_method = pytest.mark.parametrize("method", METHODS)
many_ties = st.lists(st.integers(0, 5), min_size=1, max_size=30)


def two_lists(n_points: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    losses = torch.randn(n_points, generator=generator, dtype=torch.float64)
    return losses, (losses + torch.randn(n_points, generator=generator, dtype=torch.float64))


def check_against_scipy(
    losses: Tensor, values: Tensor, method: str, correlation: Callable[..., Tensor] = correlation
) -> None:
    found = correlation(losses, hard_rank(values), method=method, steepness=1e9)
    expected = scipy.stats.spearmanr(losses.numpy(), values.numpy()).statistic
    assert float(found) == pytest.approx(expected, abs=1e-6)


@given(many_ties)
def test_hard_ranks_are_those_of_scipy_with_ties(values: list[int]) -> None:
    found = hard_rank(torch.tensor(values, dtype=torch.float64)).numpy()
    np.testing.assert_array_equal(found, scipy.stats.rankdata(values))


@each_method
@settings(max_examples=25)
@given(n_points=st.integers(3, 40), seed=st.integers(0, 1000))
def test_the_limit_of_steep_ranks_is_spearman(method: str, n_points: int, seed: int) -> None:
    check_against_scipy(*two_lists(n_points, seed), method)


@each_method
def test_the_limit_of_steep_ranks_is_spearman_where_the_metric_ties(method: str) -> None:
    losses, values = two_lists(30)
    check_against_scipy(losses, values.round(), method)


def test_the_check_catches_a_wrong_sign() -> None:
    def turned(losses: Tensor, ranks: Tensor, **settings: Any) -> Tensor:
        return -correlation(losses, ranks, **settings)

    with pytest.raises(AssertionError):
        check_against_scipy(*two_lists(20), "pairwise", turned)


@each_method
@pytest.mark.parametrize(("scale", "shift"), [(1e-4, 0.0), (1e4, 0.0), (1.0, 1e3), (250.0, -70.0)])
def test_neither_the_scale_of_losses_nor_their_zero_matters(method: str, scale: float, shift: float) -> None:
    losses, values = two_lists(12)
    ranks = hard_rank(values)
    same = correlation(losses, ranks, method=method, steepness=3.0)
    torch.testing.assert_close(
        correlation(scale * losses + shift, ranks, method=method, steepness=3.0), same, rtol=1e-8, atol=1e-8
    )


@each_method
def test_the_correlation_lies_between_minus_1_and_1(method: str) -> None:
    losses, _ = two_lists(16)
    ranks = hard_rank(losses)
    best, worst = (correlation(s * losses, ranks, method=method, steepness=1e4) for s in (1, -1))
    assert float(best) == pytest.approx(1, abs=1e-6)
    assert float(worst) == pytest.approx(-1, abs=1e-6)


@each_method
def test_the_correlation_with_a_constant_metric_is_0(method: str) -> None:
    losses, _ = two_lists(8)
    assert float(correlation(losses, hard_rank(torch.ones(8)), method=method, steepness=3.0)) == 0


@each_method
def test_gradients_of_the_correlation_are_those_of_finite_differences(method: str) -> None:
    losses, values = two_lists(7)
    ranks = hard_rank(values)
    assert torch.autograd.gradcheck(
        lambda x: correlation(x, ranks, method=method, steepness=2.0), (losses.requires_grad_(),)
    )


@each_method
def test_equal_losses_have_finite_gradients(method: str) -> None:
    losses = torch.zeros(6, requires_grad=True)
    correlation(losses, torch.arange(1.0, 7.0), method=method, steepness=8.0).backward()
    assert losses.grad is not None
    assert losses.grad.isfinite().all()


def test_the_approximation_is_the_mean_squared_error() -> None:
    losses, badness = two_lists(9)
    expected = np.mean((losses.numpy() - badness.numpy()) ** 2)
    assert float(approximation(losses, badness)) == pytest.approx(expected, rel=1e-12)
    assert float(approximation(badness, badness)) == 0


def test_gradients_of_the_approximation_are_those_of_finite_differences() -> None:
    losses, badness = two_lists(5)
    assert torch.autograd.gradcheck(lambda x: approximation(x, badness), (losses.requires_grad_(),))
