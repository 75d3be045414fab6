"""The match matrix of a hypothesis with the reference, beside that with its own tokens."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from autosurrogate.surrogates._sequence_batch import SequenceBatch
from autosurrogate.surrogates._sequence_margins import with_relative_matches
from autosurrogate.surrogates._sequence_match import softmax_parts


class OwnMatches(NamedTuple):
    """Match matrices at k temperatures. Rows are the tokens of the hypothesis in order, or CTC's frames.

    Attributes:
        match: shape (n, k, T, S), how probably the token of row t is the reference's s-th.
        own: shape (n, k, T, T), how probably the tokens of two rows are the same, 1 for a token and itself.
        mass: shape (n, k, T), how much of a token each row holds.
        place: shape (n, k, T), how many tokens are before each row.
        written: shape (n, k), how many tokens the hypothesis has.
        tokens: 1 for each token of the reference, shape (n, S).
        same: 1 for equal tokens of the reference, shape (n, S, S).
    """

    match: Tensor
    own: Tensor
    mass: Tensor
    place: Tensor
    written: Tensor
    tokens: Tensor
    same: Tensor


def own_matches(
    batch: SequenceBatch,
    temperatures: list[float],
    heats: Tensor,
    relative_temperatures: list[float],
    relative_heats: Tensor,
    set_size: int,
) -> OwnMatches:
    """The matches of a batch; arguments as of `with_relative_matches`.

    The most likely tokens of the hypothesis are taken as a further reference.
    """
    n_tokens = batch.target.size(1)
    order = torch.argsort((~batch.hyp_mask).to(torch.uint8), dim=1, stable=True)
    hyp_mask = batch.hyp_mask.gather(1, order)
    hypothesis = batch.logits.detach().argmax(2).gather(1, order) * hyp_mask
    both = SequenceBatch(
        batch.logits,
        batch.valid,
        batch.hyp_mask,
        torch.cat([batch.target, hypothesis], 1),
        torch.cat([batch.ref_mask, hyp_mask], 1),
        batch.eos_id,
        batch.blank_id,
    )
    softmax = softmax_parts(both.logits, both.target, temperatures, both.eos_id)
    matches = with_relative_matches(both, softmax, heats, relative_temperatures, relative_heats, set_size)
    match, own = matches.match[:, :, :, :n_tokens], matches.match[:, :, :, n_tokens:]
    if batch.blank_id >= 0:  # frames: columns are the decoded tokens, put where they are decoded
        place = torch.argsort(order, dim=1)
        own = own.gather(3, place.unsqueeze(1).unsqueeze(1).expand(-1, own.size(1), own.size(2), -1))
    own = (own + own.transpose(2, 3)) / 2
    tokens = batch.ref_mask.to(match.dtype)
    same = (batch.target.unsqueeze(2) == batch.target.unsqueeze(1)).to(match.dtype)
    same = same * tokens.unsqueeze(2) * tokens.unsqueeze(1)
    place = matches.mass.cumsum(2) - matches.mass
    return OwnMatches(match, own, matches.mass, place, matches.length, tokens, same)


def at_places(matches: OwnMatches, values: Tensor, shift: Tensor) -> Tensor:
    """Values of rows at the reference's places, shape (n, k, S); between two places they count for both, in parts.

    Args:
        matches: of the batch.
        values: shape (n, k, T, S), or (n, k, T, 1).
        shift: places by which a row counts later, shape (n, k), or a part of it.
    """
    places = torch.arange(matches.tokens.size(1), dtype=matches.place.dtype, device=matches.place.device)
    apart = (matches.place + shift.unsqueeze(2)).unsqueeze(3) - places
    return (values * (1 - apart.abs()).clamp_min(0)).sum(2)


def later(match: Tensor, by: int = 1) -> Tensor:
    """match[..., t + by, s + by], 0 beyond the end; the same shape."""
    return F.pad(match, (0, by, 0, by))[..., by:, by:]
