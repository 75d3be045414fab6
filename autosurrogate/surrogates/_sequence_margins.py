"""Logits of sequences relative to the margins between tokens, which show their order at any scale."""

import torch
from torch import Tensor

from autosurrogate.surrogates._layers import FAR, bounded, calmed
from autosurrogate.surrogates._sequence_batch import SequenceBatch, with_logits
from autosurrogate.surrogates._sequence_match import (
    SoftMatches,
    SoftmaxParts,
    frame_matches,
    soft_matches,
    softmax_parts,
)


def relative_to_margins(
    logits: Tensor, valid: Tensor, set_size: int, step: float = 1e-6, far: float = FAR / 2
) -> Tensor:
    """Logits relative to the mean margin of a point's positions: how far the largest is ahead of the second largest.

    Args:
        logits: shape (n, T, V).
        valid: bool (n, T), the positions that are no padding.
        set_size: examples of each point.
        step: by how much the last token is behind the first where all logits are equal.
        far: size from which a margin does not count.

    Returns:
        The shape of `logits`; of a position's equal logits the first is the largest, as for an argmax.
    """
    behind = torch.arange(logits.size(2), dtype=torch.float32, device=logits.device) * (step / logits.size(2))
    logits = bounded(logits)
    best = logits.detach().amax(2, keepdim=True)
    logits = logits - best - behind
    place = logits.detach().argmax(2, keepdim=True)
    # 0 where there is one token alone: the largest is itself at 0, or a bit below.
    second = logits.detach().scatter(2, place, -float("inf")).amax(2)
    margins = logits.detach().gather(2, place).squeeze(2) - second
    counted = (valid & (margins < far)).to(logits.dtype)
    total = (margins.clamp(max=far) * counted).sum(1).view(-1, set_size).sum(1)
    size = total / counted.sum(1).view(-1, set_size).sum(1).clamp_min(1)
    size = size.unsqueeze(1).expand(-1, set_size).reshape(-1, 1, 1)
    return calmed(logits / size.clamp_min(1e-8), size)


def matches_of(batch: SequenceBatch, softmax: SoftmaxParts, heats: Tensor) -> SoftMatches:
    """The match matrices at each temperature, of CTC's frames if there is a blank, see `_sequence_match`."""
    if batch.blank_id >= 0:
        return frame_matches(batch, softmax, heats)
    return soft_matches(batch, softmax, heats)


def with_relative_matches(
    batch: SequenceBatch,
    softmax: SoftmaxParts,
    heats: Tensor,
    relative_temperatures: list[float],
    relative_heats: Tensor,
    set_size: int,
) -> SoftMatches:
    """The match matrices at each temperature: of the logits as they are, then of those relative to their margins.

    Args:
        batch: the sequences.
        softmax: of the logits as they are.
        heats: its temperatures, shape (k,).
        relative_temperatures: of the relative logits, may be empty.
        relative_heats: the same, where the logits are.
        set_size: examples of each point.
    """
    matches = matches_of(batch, softmax, heats)
    if len(relative_temperatures) == 0:
        return matches
    logits = relative_to_margins(batch.logits, batch.valid, set_size)
    relative = with_logits(batch, logits)
    more = matches_of(
        relative, softmax_parts(logits, batch.target, relative_temperatures, batch.eos_id), relative_heats
    )
    return SoftMatches(
        torch.cat([matches.match, more.match], 1),
        torch.cat([matches.mass, more.mass], 1),
        torch.cat([matches.length, more.length], 1),
    )


def sharpest(temperatures: list[float], relative_temperatures: list[float]) -> int:
    """Which of the match matrices sees the order best: at the lowest temperature, of relative logits if there are."""
    if relative_temperatures:
        return len(temperatures) + relative_temperatures.index(min(relative_temperatures))
    return temperatures.index(min(temperatures))
