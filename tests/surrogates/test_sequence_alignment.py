from __future__ import annotations

import pytest
import torch
from torch import Tensor

from autosurrogate.surrogates._sequence_alignment import best_alignment


def by_table(gain: Tensor, gap: Tensor | None = None) -> float:
    """The best sum, cell by cell."""
    n_rows, n_columns = gain.shape
    best = torch.zeros(n_rows + 1, n_columns + 1, dtype=torch.float64)
    if gap is not None:
        best[0, 1:] = gap[0].double().cumsum(0)
    for t in range(n_rows):
        for s in range(n_columns):
            found = [best[t, s + 1], best[t + 1, s], best[t, s] + gain[t, s].double()]
            if gap is not None:
                found.append(best[t + 1, s] + gap[t + 1, s].double())
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


def test_columns_may_meet_in_the_gaps_between_rows() -> None:
    for seed, (n_rows, n_columns) in enumerate([(1, 1), (1, 3), (3, 2), (4, 5), (6, 6)]):
        gain, gap = gains(20, n_rows, n_columns, seed), 0.3 * gains(20, n_rows + 1, n_columns, seed + 50)
        expected = torch.tensor([by_table(*one) for one in zip(gain, gap, strict=True)])
        torch.testing.assert_close(best_alignment(gain, gap)[0], expected, atol=1e-4, rtol=1e-4)


def test_a_gap_alone_serves_a_hypothesis_without_tokens() -> None:
    gap = torch.tensor([[[0.2, 0.3, 0.1], [0.0, 0.0, 0.0]]])
    best, weight, gap_weight = best_alignment(torch.zeros(1, 1, 3), gap)
    torch.testing.assert_close(best, torch.tensor([0.6]))
    assert gap_weight is not None
    assert torch.equal(weight, torch.zeros(1, 1, 3))
    torch.testing.assert_close(gap_weight, torch.tensor([[[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]]]))


def test_long_sequences_that_match_by_chance_are_not_cut_short() -> None:
    generator = torch.Generator().manual_seed(0)
    gain = (torch.rand(8, 40, 40, generator=generator) < 0.1).float()  # many short runs
    expected = torch.tensor([by_table(one) for one in gain])
    torch.testing.assert_close(best_alignment(gain)[0], expected)


def test_without_gains_it_is_0_and_has_no_gradient() -> None:
    best, weight, _ = best_alignment(torch.zeros(3, 4, 5))
    assert torch.equal(best, torch.zeros(3))
    assert torch.equal(weight, torch.zeros(3, 4, 5))


def test_the_weights_are_the_gradient() -> None:
    gain = gains(20, 6, 7, 0).double() + 0.2
    best, weight, _ = best_alignment(gain, softness=1e-6)
    change = 1e-6 * torch.randn(gain.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    moved, _, _ = best_alignment(gain + change)
    torch.testing.assert_close(moved - best, (weight * change).sum((1, 2)), atol=1e-10, rtol=1e-3)


def test_the_weights_of_gaps_are_their_gradient() -> None:
    gain, gap = gains(20, 5, 6, 0).double() + 0.2, 0.3 * gains(20, 6, 6, 1).double()
    best, weight, gap_weight = best_alignment(gain, gap, softness=1e-6)
    assert gap_weight is not None
    generator = torch.Generator().manual_seed(2)
    change = 1e-6 * torch.randn(gain.shape, generator=generator, dtype=torch.float64)
    gap_change = 1e-6 * torch.randn(gap.shape, generator=generator, dtype=torch.float64)
    moved, _, _ = best_alignment(gain + change, gap + gap_change)
    expected = (weight * change).sum((1, 2)) + (gap_weight * gap_change).sum((1, 2))
    torch.testing.assert_close(moved - best, expected, atol=1e-10, rtol=1e-3)


def test_of_equal_alignments_each_has_a_part() -> None:
    """The one token of the reference stands twice in the hypothesis."""
    best, weight, _ = best_alignment(torch.tensor([[[1.0], [0.0], [1.0]]]))
    assert best.tolist() == [1.0]
    torch.testing.assert_close(weight, torch.tensor([[[0.5], [0.0], [0.5]]]))


def test_no_token_is_aligned_more_than_once() -> None:
    for seed in range(5):
        gain = (gains(30, 9, 8, seed) < 0.4).float()
        _, weight, _ = best_alignment(gain)
        assert (weight.sum(1) <= 1 + 1e-5).all()
        assert (weight.sum(2) <= 1 + 1e-5).all()
        assert (weight >= 0).all()


@pytest.mark.filterwarnings("ignore:.*deprecated.*:DeprecationWarning")
def test_a_scripted_one_finds_the_same() -> None:
    scripted, gain = torch.jit.script(best_alignment), gains(3, 5, 8, 0)
    for gap in (None, gains(3, 6, 8, 1)):
        for found, expected in zip(scripted(gain, gap), best_alignment(gain, gap), strict=True):
            assert (found is None) == (expected is None)
            if expected is not None:
                torch.testing.assert_close(found, expected)


class Best(torch.nn.Module):
    def forward(self, gain: Tensor) -> Tensor:
        return best_alignment(gain)[0]


def test_an_exported_program_finds_the_same_at_any_length() -> None:
    free = {axis: torch.export.Dim.AUTO for axis in range(3)}
    program = torch.export.export(Best(), (gains(3, 5, 8, 0),), dynamic_shapes=(free,)).module()
    for shape in ((3, 5, 8), (2, 11, 4), (4, 3, 17)):
        gain = gains(*shape, 1)
        torch.testing.assert_close(program(gain), best_alignment(gain)[0])
