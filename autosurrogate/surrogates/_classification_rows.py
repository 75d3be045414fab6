"""The targets of sets in rows, one for each class that a set has, so that no table has a row for every class."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class TargetRows(NamedTuple):
    """The targets of sets.

    Attributes:
        weight: 1 where there is a target, else 0, shape (n_points, set_size).
        row: the row of each example, shape (n_points, set_size).
        of_row: the class of each row, shape (n_points, set_size); 0 for rows without an example.
        actual: how many targets each row has, shape (n_points, set_size).
        present: 1 for rows with a target, else 0, shape (n_points, set_size).
        n: number of targets, at least 1, shape (n_points,).
        n_present: number of rows with a target, at least 1, shape (n_points,).
    """

    weight: Tensor
    row: Tensor
    of_row: Tensor
    actual: Tensor
    present: Tensor
    n: Tensor
    n_present: Tensor


def target_rows(target: Tensor, valid: Tensor, set_size: int) -> TargetRows:
    """The rows of targets.

    Args:
        target: shape (n,).
        valid: 1 where there is a target, else 0, shape (n,).
        set_size: examples of each point.
    """
    classes, weight = target.view(-1, set_size), valid.view(-1, set_size)
    ordered, order = classes.sort(1)
    before = F.pad(ordered, (1, 0), value=-1.0)[:, :-1]
    row = torch.zeros_like(classes).scatter(1, order, (ordered != before).to(torch.int64).cumsum(1) - 1)
    of_row = torch.zeros_like(classes).scatter(1, row, classes)
    actual = torch.zeros_like(weight).scatter_add(1, row, weight)
    present = (actual > 0).to(weight.dtype)
    return TargetRows(weight, row, of_row, actual, present, actual.sum(1).clamp_min(1), present.sum(1).clamp_min(1))


def sums_by_row(rows: TargetRows, values: Tensor) -> Tensor:
    """The sums of the values of each row's examples that have a target, (n,) to (n_points, set_size)."""
    return torch.zeros_like(rows.weight).scatter_add(1, rows.row, values.view(rows.weight.shape) * rows.weight)


def mean_of_present(rows: TargetRows, values: Tensor) -> Tensor:
    """The mean of the values of all rows with a target, (n_points, set_size) to (n_points,)."""
    return (values * rows.present).sum(1) / rows.n_present


def entropy(counts: Tensor, n: Tensor, smallest: float = 1e-3) -> Tensor:
    """-Σ q log q of the fractions q = counts / n, (n_points, k) to (n_points,), without poles at 0."""
    counts = counts.clamp_min(0)
    return (counts.sum(1) * torch.log(n) - (counts * torch.log(counts + smallest)).sum(1)) / n
