from __future__ import annotations

import pytest
import torch
from torch import Tensor

from autosurrogate.surrogates._sequence_alignment import best_alignment


def by_table(gain: Tensor) -> float:
    """The best sum, cell by cell."""
    n_rows, n_columns = gain.shape
    best = torch.zeros(n_rows + 1, n_columns + 1, dtype=torch.float64)
    for t in range(n_rows):
        for s in range(n_columns):
            found = [best[t, s + 1], best[t + 1, s], best[t, s] + gain[t, s].double()]
            best[t + 1, s + 1] = torch.stack(found).max()
    return float(best[-1, -1])


def gains(n: int, n_rows: int, n_columns: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(n, n_rows, n_columns, generator=generator)


def test_the_best_sum_is_that_of_a_full_table() -> None:
    for seed, (n_rows, n_columns) in enumerate([(1, 1), (1, 5), (6, 1), (4, 4), (7, 5), (5, 9), (10, 10)]):
        gain = gains(20, n_rows, n_columns, seed)
        expected = torch.tensor([by_table(one) for one in gain])
        torch.testing.assert_close(best_alignment(gain)[0], expected, atol=1e-4, rtol=1e-4)


def test_long_sequences_that_match_by_chance_are_not_cut_short() -> None:
    generator = torch.Generator().manual_seed(0)
    gain = (torch.rand(8, 40, 40, generator=generator) < 0.1).float()  # many short runs
    expected = torch.tensor([by_table(one) for one in gain])
    torch.testing.assert_close(best_alignment(gain)[0], expected)


def test_without_gains_it_is_0_and_has_no_gradient() -> None:
    best, weight = best_alignment(torch.zeros(3, 4, 5))
    assert torch.equal(best, torch.zeros(3))
    assert torch.equal(weight, torch.zeros(3, 4, 5))


def test_the_weights_are_the_gradient() -> None:
    gain = gains(20, 6, 7, 0).double() + 0.2
    best, weight = best_alignment(gain, softness=1e-6)
    change = 1e-6 * torch.randn(gain.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    moved, _ = best_alignment(gain + change)
    torch.testing.assert_close(moved - best, (weight * change).sum((1, 2)), atol=1e-10, rtol=1e-3)


def test_of_equal_alignments_each_has_a_part() -> None:
    """The one token of the reference stands twice in the hypothesis."""
    best, weight = best_alignment(torch.tensor([[[1.0], [0.0], [1.0]]]))
    assert best.tolist() == [1.0]
    torch.testing.assert_close(weight, torch.tensor([[[0.5], [0.0], [0.5]]]))


def test_no_token_is_aligned_more_than_once() -> None:
    for seed in range(5):
        gain = (gains(30, 9, 8, seed) < 0.4).float()
        _, weight = best_alignment(gain)
        assert (weight.sum(1) <= 1 + 1e-5).all()
        assert (weight.sum(2) <= 1 + 1e-5).all()
        assert (weight >= 0).all()


@pytest.mark.filterwarnings("ignore:.*deprecated.*:DeprecationWarning")
def test_a_scripted_one_finds_the_same() -> None:
    scripted, gain = torch.jit.script(best_alignment), gains(3, 5, 8, 0)
    for found, expected in zip(scripted(gain), best_alignment(gain), strict=True):
        torch.testing.assert_close(found, expected)


class Best(torch.nn.Module):
    def forward(self, gain: Tensor) -> Tensor:
        return best_alignment(gain)[0]


@pytest.mark.slow
def test_an_exported_program_finds_the_same_at_any_length() -> None:
    free = {axis: torch.export.Dim.AUTO for axis in range(3)}
    program = torch.export.export(Best(), (gains(3, 5, 8, 0),), dynamic_shapes=(free,)).module()
    for shape in ((3, 5, 8), (2, 11, 4), (4, 3, 17)):
        gain = gains(*shape, 1)
        torch.testing.assert_close(program(gain), best_alignment(gain)[0])
