"""Scores of lists relative to how far they spread."""

import torch
from torch import Tensor

from autosurrogate.surrogates._layers import calmed

MIN_SPREAD = 1e-6  # of the scores of a list; scores that are closer are not spread further apart


def relative_scores(scores: Tensor, valid: Tensor) -> Tensor:
    """Scores less their mean, in units of the mean distance of two scores of the list; 0 where there is no item.

    Args:
        scores: shape (n, L), 0 where there is no item.
        valid: shape (n, L): 1 where there is an item, else 0.
    """
    n_items = valid.sum(1, keepdim=True).clamp_min(1)
    centred = (scores - (scores.detach() * valid).sum(1, keepdim=True) / n_items) * valid
    spread = _spread(centred, valid)
    return calmed(centred / spread, spread)


def _spread(scores: Tensor, valid: Tensor, minimum: float = MIN_SPREAD) -> Tensor:
    """The mean distance of two items' scores, shape (n, 1), but at least `minimum`."""
    ordered = scores.masked_fill(valid == 0, 1e9).sort(1)[0]
    n_items = valid.sum(1, keepdim=True)
    place = torch.arange(1, scores.size(1) + 1, dtype=scores.dtype, device=scores.device)
    # The item at place p stands above p - 1 others and below n - p.
    above = (2 * place - n_items - 1).masked_fill(place > n_items, 0.0)
    return (2 * (ordered * above).sum(1, keepdim=True) / (n_items * (n_items - 1)).clamp_min(1)).clamp_min(minimum)
