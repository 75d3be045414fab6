"""The best monotone alignment of two sequences, its gradient included."""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch._higher_order_ops.while_loop import while_loop


def best_alignment(gain: Tensor, softness: float = 0.05) -> tuple[Tensor, Tensor]:
    """The largest sum of gains over cells of which each next one has a larger row and a larger column.

    With gains that are matches it is the length of the longest common subsequence. With a gain of 1 plus the match, it
    is what the edit distance falls short of both lengths: aligned tokens save a deletion and an insertion and cost a
    substitution, if they differ.

    By dynamic programming over diagonals (Needleman and Wunsch, J. Mol. Biol. 1970), from the start to each cell and
    from each cell to the end.

    Args:
        gain: shape (n, T, S), not negative.
        softness: in units of gain; cells on alignments that are worse by little count, too, in the gradient.

    Returns:
        The sum, shape (n,), without gradient; and the alignment as weights of the cells, shape (n, T, S): the gradient
        of the sum by the gains. In each row and in each column they are 1 or less together.
    """
    gain, n = gain.detach(), gain.size(0)
    sums = _prefixes(torch.cat([gain, gain.flip(1).flip(2)]))
    before, after = sums[:n], sums[n:].flip(1).flip(2)
    through = before[:, :-1, :-1] + gain + after[:, 1:, 1:]  # the best alignment that holds the cell
    best = torch.maximum(through.amax(2).amax(1), torch.maximum(before[:, -1, -1], after[:, 0, 0]))
    weight = torch.exp((through - best.unsqueeze(1).unsqueeze(2)) / softness) * (gain > 0)
    weight = weight / weight.sum(2, keepdim=True).clamp_min(1)
    return best, weight / weight.sum(1, keepdim=True).clamp_min(1)


def _prefixes(gain: Tensor) -> Tensor:
    """The best sum within the first t rows and s columns, for each t and s, shape (n, T + 1, S + 1)."""
    step = _skewed(F.pad(gain, (1, 0, 1, 0))).permute(2, 1, 0).contiguous()
    return _unskewed(_swept(step).permute(2, 1, 0), gain.size(2) + 1)


def _swept(step: Tensor) -> Tensor:
    """The best sums, one diagonal after the other; what lies outside the table has 0 and does not reach into it.

    Args:
        step: gain of reaching a cell from the one before it in row and column, shape (t + s, t, n).

    Returns:
        The same shape.
    """
    if not torch.jit.is_scripting():  # type: ignore[attr-defined]
        if torch.compiler.is_compiling():
            return _swept_in_program(step)
    table = step.new_zeros(step.size(0) + 1, step.size(1) + 1, step.size(2))
    for i in range(2, table.size(0)):
        last, before_last = table[i - 1], table[i - 2]
        torch.maximum(torch.maximum(last[1:], last[:-1]), before_last[:-1] + step[i - 1], out=table[i, 1:])
    return table[1:, 1:]


def _swept_in_program(step: Tensor) -> Tensor:
    """The same in an exported program, where the number of diagonals stays dynamic."""

    def is_unfinished(i: Tensor, last: Tensor, before_last: Tensor, table: Tensor) -> Tensor:
        return i < step.size(0)

    def next_diagonal(i: Tensor, last: Tensor, before_last: Tensor, table: Tensor) -> tuple[Tensor, ...]:
        index = i.view(1)
        up, across = F.pad(last[:-1], (0, 0, 1, 0)), F.pad(before_last[:-1], (0, 0, 1, 0))
        best = torch.maximum(torch.maximum(last, up), across + step.index_select(0, index).squeeze(0))
        return i + 1, best, last.clone(), table.index_copy(0, index, best.unsqueeze(0))

    first = torch.ones((), dtype=torch.int64, device=step.device)
    zeros = torch.zeros_like(step[0])
    carried = first, zeros, zeros.clone(), torch.zeros_like(step)
    table: Tensor = while_loop(is_unfinished, next_diagonal, carried)[3]  # type: ignore[no-untyped-call]
    return table


def _skewed(cells: Tensor) -> Tensor:
    """Each row moved right by its number, (n, R, C) to (n, R, R + C - 1): cells of equal t + s share a column."""
    n_rows, n_columns = cells.size(1), cells.size(2)
    flat = F.pad(cells, (0, n_rows)).flatten(1)
    return flat[:, : n_rows * (n_rows + n_columns - 1)].view(-1, n_rows, n_rows + n_columns - 1)


def _unskewed(skewed: Tensor, n_columns: int) -> Tensor:
    """The inverse of `_skewed`, (n, R, R + C - 1) to (n, R, C)."""
    n_rows = skewed.size(1)
    flat = F.pad(skewed.flatten(1), (0, n_rows))
    return flat.view(-1, n_rows, n_rows + n_columns)[:, :, :n_columns]
