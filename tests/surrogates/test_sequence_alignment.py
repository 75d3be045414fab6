"""The best alignment beside one that is found cell by cell."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from autosurrogate.surrogates._sequence_alignment import best_alignment

SHAPES = [(2, 1, 1), (3, 4, 6), (3, 7, 3), (2, 9, 9)]
each_shape = pytest.mark.parametrize("shape", SHAPES)
each_kind = pytest.mark.parametrize("with_gaps", [False, True])


def random_gains(shape: tuple[int, int, int], with_gaps: bool) -> tuple[Tensor, Tensor | None]:
    generator = torch.Generator().manual_seed(sum(shape))
    n, n_rows, n_columns = shape
    gap = torch.rand((n, n_rows + 1, n_columns), generator=generator, dtype=torch.float64) if with_gaps else None
    return torch.rand(shape, generator=generator, dtype=torch.float64), gap


def cell_by_cell(gain: Tensor, gap: Tensor | None) -> Tensor:
    n, n_rows, n_columns = gain.shape
    best = gain.new_zeros(n, n_rows + 1, n_columns + 1)
    for t, s in itertools.product(range(n_rows + 1), range(n_columns + 1)):
        ways = [best[:, t, s]]
        if s > 0:
            ways.append(best[:, t, s - 1] + (0 if gap is None else gap[:, t, s - 1]))
        if t > 0:
            ways.append(best[:, t - 1, s])
        if s > 0 and t > 0:
            ways.append(best[:, t - 1, s - 1] + gain[:, t - 1, s - 1])
        best[:, t, s] = torch.stack(ways).amax(0)
    return best[:, -1, -1]


@each_shape
@each_kind
def test_it_is_the_best(shape: tuple[int, int, int], with_gaps: bool) -> None:
    gain, gap = random_gains(shape, with_gaps)
    torch.testing.assert_close(best_alignment(gain, gap)[0], cell_by_cell(gain, gap))


@each_shape
@each_kind
def test_its_weights_are_its_gradient(shape: tuple[int, int, int], with_gaps: bool) -> None:
    gain, gap = random_gains(shape, with_gaps)
    _, weight, gap_weight = best_alignment(gain, gap, softness=1e-5)
    gain.requires_grad_()
    wanted = [gain] if gap is None else [gain, gap.requires_grad_()]
    expected = torch.autograd.grad(cell_by_cell(gain, gap).sum(), wanted)
    torch.testing.assert_close(weight, expected[0], atol=1e-2, rtol=0)
    if gap_weight is not None:
        torch.testing.assert_close(gap_weight, expected[1], atol=1e-2, rtol=0)


@pytest.mark.filterwarnings("ignore:.*deprecated.*:DeprecationWarning")
def test_a_scripted_one_finds_the_same() -> None:
    scripted = torch.jit.script(best_alignment)
    for with_gaps in (False, True):
        gain, gap = random_gains((3, 5, 8), with_gaps)
        for found, expected in zip(scripted(gain, gap), best_alignment(gain, gap), strict=True):
            assert (found is None) == (expected is None)
            if expected is not None:
                torch.testing.assert_close(found, expected)
