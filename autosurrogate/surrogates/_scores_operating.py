"""How many items are above thresholds, and sums of probabilities: what features of an operating curve are made of.

Each of these numbers is computed with its slopes, which a gradient takes as constants. So the backward pass through all
of them is a single product of matrices, however many there are.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from autosurrogate.surrogates._layers import calmed, matmul


def standardised(logits: Tensor) -> Tensor:
    """Logits of mean 0 and deviation 1 over the last axis: only their order and relative distances are left."""
    centred = logits - logits.mean(-1, keepdim=True)
    variance = centred.square().mean(-1, keepdim=True)
    spread = (variance + 1e-4 * variance.detach() + 1e-12).sqrt()  # two items would have no gradient without the second
    return calmed(centred / spread, spread)


def order_statistics(scores: Tensor, counted: Tensor, n_above: Tensor) -> Tensor:
    """Weights of the items whose mean is the threshold that so many counted items are above.

    The item at a threshold is above it by half. Between two items a threshold is interpolated; none is above the
    highest item or below the lowest.

    Args:
        scores: shape (n_points, n_labels, n_items).
        counted: 1 for each item that counts, else 0, of the same shape; where none does, any item is the threshold.
        n_above: shape (n_points, n_labels, n).

    Returns:
        Shape (n_points, n_labels, n, n_items), without gradient.
    """
    order = scores.detach().masked_fill(counted == 0, -math.inf).argsort(2, descending=True)
    last = (counted.sum(2, keepdim=True) - 1).clamp_min(0)
    place = torch.minimum((n_above - 0.5).clamp_min(0), last)
    before = place.floor()
    after = torch.minimum(before + 1, last)
    fraction = (place - before).unsqueeze(3)
    weights = torch.zeros_like(scores).unsqueeze(2) * fraction
    weights = weights.scatter_add(3, order.gather(2, before.long()).unsqueeze(3), 1 - fraction)
    return weights.scatter_add(3, order.gather(2, after.long()).unsqueeze(3), fraction).detach()


def counts_by_rank(scores: Tensor, target: Tensor, weights: Tensor, temperatures: list[float]) -> Tensor:
    """How many positives and how many negatives are above thresholds that are means of items' scores, softly.

    Args:
        scores: shape (n_points, n_labels, n_items).
        target: 0 or 1, of the same shape.
        weights: of the items in the thresholds, from `order_statistics`, shape (n_points, n_labels, n, n_items).
        temperatures: m of them.

    Returns:
        Shape (n_points, n_labels, m, n, 2).
    """
    fixed = scores.detach()
    distance = (fixed.unsqueeze(2) - matmul(weights, fixed.unsqueeze(3))).unsqueeze(2)
    temperature = torch.tensor(temperatures, dtype=scores.dtype, device=scores.device).view(1, 1, -1, 1, 1)
    above = torch.sigmoid(distance / temperature)
    counted = torch.stack([target, 1 - target], 2)[:, :, None, None]
    slopes = (above * (1 - above) / temperature).unsqueeze(4) * counted
    slopes = slopes - slopes.sum(5, keepdim=True) * weights[:, :, None, :, None]
    return _with_slopes((above.unsqueeze(4) * counted).sum(5), slopes, scores)


def counts_by_probability(logits: Tensor, target: Tensor, thresholds: list[float], temperatures: list[float]) -> Tensor:
    """How many positives and negatives are above probabilities, softly, and the sum of the probabilities above them.

    The temperature is per mean distance from the threshold: only the side counts, however far the logits spread.

    Args:
        logits: shape (n_points, n_labels, n_items).
        target: 0 or 1, of the same shape.
        thresholds: n probabilities.
        temperatures: m of them.

    Returns:
        Shape (n_points, n_labels, m, n, 3).
    """
    fixed = logits.detach()
    cuts = torch.tensor([math.log(p / (1 - p)) for p in thresholds], dtype=logits.dtype, device=logits.device)
    temperature = torch.tensor(temperatures, dtype=logits.dtype, device=logits.device).view(1, 1, -1, 1, 1)
    distance = (fixed.unsqueeze(2) - cuts.unsqueeze(1)).unsqueeze(2)
    spread = distance.abs().mean(4, keepdim=True) + 1e-6
    margin = distance / spread
    above = torch.sigmoid(margin / temperature)  # (n_points, n_labels, m, n, n_items)
    probability = torch.sigmoid(fixed)
    counted = torch.stack([target, 1 - target, probability], 2)[:, :, None, None]
    slopes = (above * (1 - above) / temperature).unsqueeze(4) * counted
    # As the spread is a mean, too, all items have an effect on each margin; `calmed` says why it is bounded.
    of_spread = (slopes * margin.unsqueeze(4)).sum(5, keepdim=True) * distance.sign().unsqueeze(4) / logits.size(2)
    slopes = (slopes - of_spread) * (spread.clamp(max=1.0) / spread).unsqueeze(4)
    own = above * (probability * (1 - probability))[:, :, None, None]
    slopes = slopes + own.unsqueeze(4) * torch.tensor([0.0, 0.0, 1.0], dtype=own.dtype, device=own.device).view(-1, 1)
    return _with_slopes((above.unsqueeze(4) * counted).sum(5), slopes, logits)


def sums_of_probabilities(logits: Tensor, target: Tensor) -> Tensor:
    """Sums of the probability of the target, its negative logarithm, and its squared distance from 1.

    Args:
        logits: shape (n_points, n_labels, n_items).
        target: 0 or 1, of the same shape.

    Returns:
        Shape (n_points, n_labels, 3, 2): of positives and of negatives.
    """
    fixed, sign = logits.detach(), 1 - 2 * target
    wrong = torch.sigmoid(fixed * sign)
    values = torch.stack([1 - wrong, F.softplus(fixed * sign), wrong.square()], 2)
    slopes = torch.stack([-wrong * (1 - wrong), wrong, 2 * wrong.square() * (1 - wrong)], 2) * sign.unsqueeze(2)
    counted = torch.stack([target, 1 - target], 2).unsqueeze(2)
    return _with_slopes((values.unsqueeze(3) * counted).sum(4), slopes.unsqueeze(3) * counted, logits)


def odds(fraction: Tensor) -> Tensor:
    """The logarithm of the odds, within 1.2 of 0, so that fractions near 0 and 1 differ as visibly as others do."""
    fraction = fraction.clamp(0.0, 1.0)
    return torch.log((fraction + 0.01) / (1.01 - fraction)) / 4


def _with_slopes(values: Tensor, slopes: Tensor, items: Tensor) -> Tensor:
    """Values with given slopes by the items.

    Args:
        values: shape (n_points, n_labels, ...).
        slopes: shape (n_points, n_labels, ..., n_items).
        items: shape (n_points, n_labels, n_items).
    """
    moved = matmul(slopes.detach().flatten(2, -2), (items - items.detach()).unsqueeze(3))
    return values.detach() + moved.view_as(values)
