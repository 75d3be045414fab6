"""Logits of pixels relative to the margins between the classes, which show their order at any scale."""

from torch import Tensor

from autosurrogate.surrogates._classification_margins import ties_broken
from autosurrogate.surrogates._layers import FAR, calmed


def relative_to_margins(logits: Tensor, valid: Tensor, set_size: int, far: float = FAR / 2) -> Tensor:
    """Logits relative to the mean margin of a point's pixels: how far the largest is ahead of the second largest.

    Args:
        logits: shape (n, C, H, W).
        valid: 1 where there is a target, else 0, shape (n, H, W).
        set_size: images of each point.
        far: size from which a margin does not count.

    Returns:
        The shape of `logits`; of a pixel's equal logits the first is the largest, as for an argmax.
    """
    logits = ties_broken(logits)
    fixed = logits.detach()
    best, place = fixed.max(1, keepdim=True)
    margins = (best - fixed.scatter(1, place, -float("inf")).amax(1, keepdim=True)).squeeze(1)
    counted = valid * (margins < far).to(valid.dtype)
    total = (margins.clamp(max=far) * counted).sum((1, 2)).view(-1, set_size).sum(1)
    size = total / counted.sum((1, 2)).view(-1, set_size).sum(1).clamp_min(1)
    size = size.unsqueeze(1).expand(-1, set_size).reshape(-1, 1, 1, 1)
    return calmed(logits / size.clamp_min(1e-8), size)
