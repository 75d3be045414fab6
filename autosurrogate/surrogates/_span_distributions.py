"""Distributions of the start and the end of a span, from logits at any scale."""

import torch
from torch import Tensor

from autosurrogate.surrogates._layers import FAR, calmed


def relative_to_spread(logits: Tensor) -> Tensor:
    """Logits (n, 2, L) less the largest of each end, in standard deviations of the logits that are not masked.

    Where the deviation is less than 1, as in untrained models, the gradient is that of logits whose deviation is 1.
    """
    valid = not_masked(logits)
    below = _ties_broken(logits - logits.amax(2, keepdim=True))
    spread = _deviation(below, valid)
    return calmed(below / spread, spread)


def weights_of_ends(logits: Tensor, lowest: float = -200.0, highest: float = 80.0) -> Tensor:
    """Weights of starts and ends, (n, 2, L), whose products are the weights of spans; that of the predicted span is 1.

    Args:
        logits: divided by the temperature, shape (n, 2, L).
        lowest: e to it is 0.
        highest: e to it, times any number of positions, is finite.
    """
    # Relative to the predicted span no span's weight is above 1, though its start's or its end's may be.
    best_start = torch.cummax(logits[:, 0].detach(), 1)[0]
    predicted = (best_start + logits[:, 1].detach()).argmax(1, keepdim=True)
    best = torch.stack([best_start.gather(1, predicted), logits[:, 1].detach().gather(1, predicted)], 1)
    return (logits - best).clamp(lowest, highest).exp()


def cumsum_from_end(weights: Tensor) -> Tensor:
    """Sums of each position and those behind it, (n, L)."""
    return weights.flip(1).cumsum(1).flip(1)


def not_masked(logits: Tensor, far: float = FAR) -> Tensor:
    """1 where a logit is not masked, else 0."""
    return (logits > -far).to(logits.dtype)


def _ties_broken(below: Tensor, step: float = 1e-7) -> Tensor:
    """Logits less the largest; of equal ones the first position becomes the largest, as in decoding.

    Each position is behind the one before, the first ones by most: where all are equal, only the first is near the top.
    """
    return below - step * torch.log1p(torch.arange(below.size(2), dtype=below.dtype, device=below.device))


def _deviation(below: Tensor, valid: Tensor) -> Tensor:
    """The standard deviation of start and end logits that are not masked, (n, 1, 1)."""
    n_valid = valid.sum(2, keepdim=True).clamp_min(1)
    mean = (below * valid).sum(2, keepdim=True) / n_valid
    variance = ((below - mean).square() * valid).sum(2, keepdim=True) / n_valid
    return (variance.mean(1, keepdim=True) + 1e-18).sqrt()
