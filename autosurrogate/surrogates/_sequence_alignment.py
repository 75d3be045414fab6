"""The best monotone alignment of two sequences, its gradient included, without a loop over positions."""

import torch
import torch.nn.functional as F
from torch import Tensor

N_ROUNDS = 4


def best_alignment(
    gain: Tensor, gap: Tensor | None = None, softness: float = 0.05
) -> tuple[Tensor, Tensor, Tensor | None]:
    """The largest sum of gains over cells of which each next one has a larger row and a larger column.

    With gains that are matches it is the length of the longest common subsequence. With a gain of 1 plus the match, it
    is what the edit distance falls short of both lengths: aligned tokens save a deletion and an insertion and cost a
    substitution, if they differ.

    An alignment is a chain of runs along diagonals. A round of `_prefixes` adds a run to the best chains from the
    start to each cell and, at the same time, to those from each cell to the end: chains of up to 2 · 4 runs are found,
    and longer ones are cut short.

    Args:
        gain: shape (n, T, S), not negative.
        gap: shape (n, T + 1, S), gains of further cells, which lie before each row and after the last; any number of
            columns may meet in one.
        softness: in units of gain; cells on alignments that are worse by little count, too, in the gradient.

    Returns:
        The sum, shape (n,), without gradient; and the alignment as weights of the cells of `gain` and of `gap`: the
        gradient of the sum by the gains. In each row of `gain` and in each column they are 1 or less together.
    """
    gain, n = gain.detach(), gain.size(0)
    both = torch.cat([gain, gain.flip(1).flip(2)])
    gaps: Tensor | None = None
    if gap is not None:
        gap = gap.detach()
        gaps = torch.cat([gap, gap.flip(1).flip(2)])
    found = _prefixes(both, gaps)
    before, after = found[:n], found[n:].flip(1).flip(2)
    through = before[:, :-1, :-1] + gain + after[:, 1:, 1:]  # the best alignment that holds the cell
    best = torch.maximum(through.amax(2).amax(1), torch.maximum(before[:, -1, -1], after[:, 0, 0]))
    shortfall = best.unsqueeze(1).unsqueeze(2)
    weight = torch.exp((through - shortfall) / softness) * (gain > 0)
    weight = weight / weight.sum(2, keepdim=True).clamp_min(1)
    column = weight.sum(1, keepdim=True)
    if gap is None:
        return best, weight / column.clamp_min(1), None
    through = before[:, :, :-1] + gap + after[:, :, 1:]
    gap_weight = torch.exp((through - shortfall) / softness) * (gap > 0)
    column = (column + gap_weight.sum(1, keepdim=True)).clamp_min(1)
    return best, weight / column, gap_weight / column


def _prefixes(gain: Tensor, gap: Tensor | None, n_rounds: int = N_ROUNDS) -> Tensor:
    """The best sum within the first t rows and s columns, for each t and s, shape (n, T + 1, S + 1)."""
    padded = F.pad(gain, (1, 0, 1, 0)).flip(2)  # so that a diagonal's cells have t + s in common
    n_columns = padded.size(2)
    along = _back(_skewed(padded, 0.0).cumsum(1), n_columns)
    best = torch.zeros_like(along)
    for _ in range(n_rounds):
        if gap is not None:
            best = torch.maximum(best, F.pad(best[:, :, 1:] + gap.flip(2), (0, 1)))
        run = along + _back(_skewed(best - along, -1e6).cummax(1)[0], n_columns)
        best = run.cummax(1)[0].flip(2).cummax(2)[0].flip(2)
    return best.flip(2)


def _skewed(cells: Tensor, fill: float) -> Tensor:
    """Each row moved right by its number, (n, R, C) to (n, R, R + C - 1): cells of equal t + s share a column."""
    n_rows, n_columns = cells.size(1), cells.size(2)
    flat = F.pad(cells, (0, n_rows), value=fill).flatten(1)
    return flat[:, : n_rows * (n_rows + n_columns - 1)].view(-1, n_rows, n_rows + n_columns - 1)


def _back(skewed: Tensor, n_columns: int) -> Tensor:
    """What `_skewed` was given, (n, R, R + C - 1) to (n, R, C)."""
    n_rows = skewed.size(1)
    flat = F.pad(skewed.flatten(1), (0, n_rows))
    return flat.view(-1, n_rows, n_rows + n_columns)[:, :, :n_columns]
