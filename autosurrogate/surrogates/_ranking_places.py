"""Soft places of the items of lists, with the slopes of what is computed from them.

What is ahead of an item is a sum over pairs. The slopes of many numbers by the scores are products of matrices of them,
and are taken as constants by a gradient: so the pairs are passed through once, however many numbers there are.
"""

import math

import torch
from torch import Tensor

from autosurrogate.surrogates._layers import matmul


def pairs_of(scores: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """How far each item j is ahead of each other item i, and the slopes of that by its lead: (n, i, j), no gradient.

    Args:
        scores: shape (n, L).
        temperature: of the sigmoids, in units of the scores.
    """
    fixed = scores.detach()
    ahead = torch.sigmoid((fixed.unsqueeze(1) - fixed.unsqueeze(2)) / temperature)
    ahead = ahead * (1 - torch.eye(scores.size(1), dtype=scores.dtype, device=scores.device))
    return ahead, ahead * (1 - ahead) / temperature


def sums_ahead(ahead: Tensor, counted: Tensor) -> Tensor:
    """Sums over the items ahead of each item: (n, i, j) and what is counted, (n, k, L), to (n, k, L)."""
    return matmul(counted, ahead.transpose(1, 2))


def slopes_through(slopes: Tensor, pair_slopes: Tensor, counted: Tensor) -> Tensor:
    """Slopes by the scores of numbers whose slopes by sums ahead are given.

    Args:
        slopes: of k numbers by the sum that is ahead of each item, shape (n, k, L).
        pair_slopes: from `pairs_of`.
        counted: what is summed, shape (n, L).

    Returns:
        Shape (n, k, L).
    """
    each = pair_slopes * counted.unsqueeze(1)
    return matmul(slopes, each) - slopes * each.sum(2).unsqueeze(1)


def slopes_of_pairs(weights: Tensor, pair_slopes: Tensor) -> Tensor:
    """Slopes by the scores of sums over pairs with k kinds of weights: (n, k, i, j) to (n, k, L)."""
    each = weights * pair_slopes.unsqueeze(1)
    return each.sum(2) - each.sum(3)


def with_slopes(values: Tensor, slopes: Tensor, scores: Tensor) -> Tensor:
    """Values (n, k) with given slopes (n, k, L) by scores (n, L)."""
    return values.detach() + matmul(slopes.detach(), (scores - scores.detach()).unsqueeze(2)).squeeze(2)


def places_of(scores: Tensor, counted: Tensor, number: Tensor) -> Tensor:
    """Which item is the n-th of those that count, in the order of the scores; the last one where they are fewer.

    Args:
        scores: shape (n, L).
        counted: shape (n, k, L): of each of k questions, 1 for each item that counts, else 0.
        number: from 1 on, shape (k,).

    Returns:
        Shape (n, k, L), without gradient: 1 for that item, else 0; all 0 where none counts.
    """
    order = scores.detach().unsqueeze(1).masked_fill(counted == 0, -math.inf).argsort(2, descending=True)
    last = (counted.sum(2) - 1).clamp_min(0)
    place = torch.minimum(number - 1, last).long().unsqueeze(2)
    return torch.zeros_like(counted).scatter(2, order.gather(2, place), 1.0) * counted
