from __future__ import annotations

import re

import diffsort
import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from autosurrogate.errors import OptionError, ShapeError
from autosurrogate.rank_correlation.soft_ranks import METHODS, soft_rank, standardise

each_method = pytest.mark.parametrize("method", METHODS)
distinct = st.lists(st.integers(-50, 50), min_size=2, max_size=20, unique=True)


def random_scores(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def of_rows(scores: Tensor) -> np.ndarray:
    ranks: np.ndarray = scipy.stats.rankdata(scores.numpy(), axis=-1)
    return ranks


def own_matrices(scores: Tensor, steepness: float) -> Tensor:
    """Expected places by diffsort's own permutation matrix, of a power of two of items."""
    n_items = scores.shape[1]
    sorter = diffsort.DiffSortNet("bitonic", n_items, steepness=steepness, distribution="logistic_phi")
    permutation: Tensor = sorter(scores)[1]
    places: Tensor = torch.einsum("bij,j->bi", permutation, torch.arange(1, n_items + 1, dtype=scores.dtype))
    return places


@each_method
@settings(max_examples=40)
@given(values=distinct)
def test_steep_ranks_are_those_of_scipy(method: str, values: list[int]) -> None:
    scores = torch.tensor([values], dtype=torch.float64)
    np.testing.assert_allclose(soft_rank(scores, method=method, steepness=1e4).numpy(), of_rows(scores), atol=1e-6)


@each_method
def test_ranks_tend_to_the_hard_ones_as_the_steepness_grows(method: str) -> None:
    scores = random_scores(5, 16)
    hard = torch.from_numpy(of_rows(scores))
    off = [float((soft_rank(scores, method=method, steepness=s) - hard).abs().mean()) for s in (1, 10, 100, 1000)]
    assert off == sorted(off, reverse=True)
    assert off[0] > 1
    assert off[-1] < 0.1


def test_the_comparison_catches_descending_ranks() -> None:
    scores = random_scores(1, 8)
    assert not np.allclose(soft_rank(-scores, steepness=1e4).numpy(), of_rows(scores), atol=0.4)


def test_pairwise_ties_share_the_mean_of_their_places() -> None:
    scores = torch.tensor([[2.0, 1.0, 2.0, 2.0]], dtype=torch.float64)
    np.testing.assert_allclose(soft_rank(scores, steepness=1e4).numpy(), of_rows(scores))


@pytest.mark.parametrize("n_items", [2, 4, 8, 32])
@pytest.mark.parametrize("steepness", [1.0, 10.0])
def test_diffsort_is_its_own_permutation_matrix(n_items: int, steepness: float) -> None:
    scores = random_scores(3, n_items)
    torch.testing.assert_close(
        soft_rank(scores, method="diffsort", steepness=steepness), own_matrices(scores, steepness)
    )


@pytest.mark.parametrize("n_items", [1, 3, 5, 6, 7, 11])
@pytest.mark.parametrize("steepness", [1.0, 30.0, 1000.0])
def test_filling_up_to_a_power_of_two_changes_no_rank(n_items: int, steepness: float) -> None:
    scores = random_scores(2, n_items)
    size = next(2**k for k in range(1, 9) if 2**k >= n_items)
    far_above = scores.amax(1, keepdim=True) + 1e6 + 1e6 * torch.arange(size - n_items, dtype=scores.dtype)
    expected = own_matrices(torch.cat([scores, far_above], 1), steepness)[:, :n_items]
    torch.testing.assert_close(
        soft_rank(scores, method="diffsort", steepness=steepness), expected, atol=1e-6, rtol=1e-6
    )


@each_method
@pytest.mark.parametrize("n_items", [2, 3, 8, 11])
def test_soft_ranks_add_up_as_hard_ones_do(method: str, n_items: int) -> None:
    ranks = soft_rank(random_scores(4, n_items), method=method, steepness=3.0)
    torch.testing.assert_close(ranks.sum(1), torch.full((4,), n_items * (n_items + 1) / 2, dtype=torch.float64))
    assert ((ranks >= 1 - 1e-9) & (ranks <= n_items + 1e-9)).all()


@each_method
@pytest.mark.parametrize("n_items", [4, 5])
def test_gradients_are_those_of_finite_differences(method: str, n_items: int) -> None:
    scores = random_scores(2, n_items).requires_grad_()
    assert torch.autograd.gradcheck(lambda s: soft_rank(s, method=method, steepness=2.0), (scores,))


@each_method
def test_gradients_of_ties_are_finite(method: str) -> None:
    scores = torch.tensor([[1.0, 1.0, 0.0, 1.0, 0.0]], requires_grad=True)
    soft_rank(scores, method=method).square().sum().backward()
    assert scores.grad is not None
    assert scores.grad.isfinite().all()


@each_method
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_shape_and_dtype_are_those_of_the_scores(method: str, dtype: torch.dtype) -> None:
    ranks = soft_rank(random_scores(2, 6).to(dtype), method=method)
    assert (ranks.shape, ranks.dtype) == ((2, 6), dtype)


@each_method
def test_rows_do_not_see_each_other(method: str) -> None:
    scores = random_scores(3, 7)
    torch.testing.assert_close(soft_rank(scores, method=method)[1:2], soft_rank(scores[1:2], method=method))


@each_method
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_a_gpu_gives_the_same_ranks(method: str) -> None:
    scores = random_scores(3, 7)
    torch.testing.assert_close(soft_rank(scores.cuda(), method=method).cpu(), soft_rank(scores, method=method))


@pytest.mark.parametrize("shape", [(3,), (2, 3, 4)])
def test_scores_need_two_axes(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=re.escape(f"must be (batch, n_items), got {shape}; for one list pass")):
        soft_rank(torch.zeros(shape))


def test_an_unknown_method_is_named_with_those_there_are() -> None:
    with pytest.raises(OptionError, match="must be one of pairwise, diffsort, got 'neural'"):
        soft_rank(torch.zeros(1, 2), method="neural")


def test_standardised_rows_have_mean_0_and_standard_deviation_1() -> None:
    rows = standardise(5 + 100 * random_scores(3, 9))
    np.testing.assert_allclose(rows.numpy().mean(1), 0, atol=1e-12)
    np.testing.assert_allclose(rows.numpy().std(1), 1)


def test_a_constant_row_standardises_to_0_with_finite_gradients() -> None:
    row = torch.full((1, 4), 3.0, requires_grad=True)
    found = standardise(row)
    found[0, 0].backward()
    assert (found == 0).all()
    assert row.grad is not None
    assert row.grad.isfinite().all()
