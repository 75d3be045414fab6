"""How much is right, where, and in which order: the material of metrics of matched tokens."""

import torch
import torch.nn.functional as F
from torch import Tensor

from autosurrogate.surrogates._layers import matmul
from autosurrogate.surrogates._sequence_own import OwnMatches, at_places, later

TOKENS = ("token f", "token recall", "token precision", "type recall", "type precision", "type jaccard")
ORDER = ("bigram f", "trigram f", "near pair f", "pair f", "concordance", "contiguity", "-displacement")
CONTEXT_OF_ORDER = ("signed displacement",)
PLACES = (
    *("first", "last", "in place", "in place of longer", "a place early", "a place late", "in place from end"),
    *("right prefix", "right suffix", "two in place", "all in place"),
)
NEAR = 4  # tokens between the two of a near pair, at most, as in ROUGE-S4


def token_counts(matches: OwnMatches) -> Tensor:
    """`TOKENS`, shape (n, k, 6): how many tokens, and how many different ones, both have in common."""
    reference = matches.tokens.sum(1, keepdim=True)
    repeats = matches.same.sum(2).clamp_min(1).unsqueeze(1)
    found = matches.match.sum(2)
    common = (torch.minimum(found, repeats) / repeats).sum(2)
    n_types = (matches.tokens.unsqueeze(1) / repeats).sum(2)
    common_types = (found.clamp(max=1.0) / repeats).sum(2)
    hypothesis_types = types_of(matches)
    values = [
        2 * common / (matches.written + reference).clamp_min(1),
        common / reference.clamp_min(1),
        common / matches.written.clamp_min(1),
        common_types / n_types.clamp_min(1),
        common_types / hypothesis_types.clamp_min(1),
        common_types / (n_types + hypothesis_types - common_types).clamp_min(1),
    ]
    return torch.stack(values, 2)


def types_of(matches: OwnMatches) -> Tensor:
    """How many different tokens a hypothesis has, shape (n, k)."""
    return (matches.mass / matches.own.sum(3).clamp_min(1)).sum(2)


def order_of_matches(matches: OwnMatches, near: int = NEAR) -> tuple[Tensor, Tensor]:
    """`ORDER` and `CONTEXT_OF_ORDER`, shapes (n, k, 7) and (n, k, 1).

    Args:
        matches: of the batch.
        near: tokens between the two of a near pair, at most.
    """
    match, written = matches.match, matches.written
    reference = matches.tokens.sum(1, keepdim=True)
    places = torch.arange(matches.tokens.size(1), dtype=match.dtype, device=match.device)
    apart = places - matches.place.unsqueeze(3)
    # A token that the reference has several times is matched with the nearest ones.
    closeness = match * torch.exp(-0.5 * apart.abs())
    unique = match * closeness / (matmul(closeness, matches.same.unsqueeze(1)) + 1e-4)
    n_matched = unique.sum(3).sum(2)
    bigrams = unique * later(unique)
    n_bigrams, n_trigrams = bigrams.sum(3).sum(2), (bigrams * later(unique, 2)).sum(3).sum(2)
    after = unique.flip(2).cumsum(2).flip(2) - unique  # in later rows
    earlier, up_to = after.cumsum(3) - after, after.flip(3).cumsum(3).flip(3) - after
    concordant, discordant = (unique * up_to).sum(3).sum(2), (unique * earlier).sum(3).sum(2)
    both_near = _next_ones(_next_ones(unique, near + 1, 2), near + 1, 3)
    near_pairs = (unique * both_near).sum(3).sum(2)
    signed = (unique * apart).sum(3).sum(2) / (n_matched + 0.5)
    distance = (unique * apart.abs()).sum(3).sum(2) / (n_matched + 0.5)
    size = torch.maximum(written, reference).clamp_min(1)
    values = [
        2 * n_bigrams / (written + reference - 2).clamp_min(1),
        2 * n_trigrams / (written + reference - 4).clamp_min(1),
        2 * near_pairs / (_n_near(written, near) + _n_near(reference, near)).clamp_min(1),
        4 * concordant / (written * (written - 1) + reference * (reference - 1)).clamp_min(1),
        (concordant - discordant) / (concordant + discordant + 0.5),
        (n_bigrams + 0.5) / (n_matched + 0.5),
        -distance / size,
    ]
    return torch.stack(values, 2), (signed / size).unsqueeze(2)


def matches_in_place(matches: OwnMatches) -> Tensor:
    """`PLACES`, shape (n, k, 11): tokens that are right at their place, counted from the start and from the end."""
    reference = matches.tokens.sum(1, keepdim=True)
    at_least_one = reference.clamp_min(1)
    longer = torch.maximum(matches.written, reference).clamp_min(1)
    zero = torch.zeros_like(matches.written)
    right, soon, late = (at_places(matches, matches.match, zero + s) for s in (0.0, 1.0, -1.0))
    from_end = at_places(matches, matches.match, reference - matches.written)
    is_last = matches.tokens - F.pad(matches.tokens, (0, 1))[:, 1:]
    as_long = (1 - (matches.written - reference).abs()).clamp_min(0)
    padding = (1 - matches.tokens).unsqueeze(1)
    two = right * F.pad(right, (0, 1))[:, :, 1:]
    prefix = (_products(right + padding) * matches.tokens.unsqueeze(1)).sum(2)
    suffix = (_products((from_end + padding).flip(2)) * matches.tokens.unsqueeze(1).flip(2)).sum(2)
    values = [
        right[:, :, 0],
        (from_end * is_last.unsqueeze(1)).sum(2),
        right.sum(2) / at_least_one,
        right.sum(2) / longer,
        soon.sum(2) / at_least_one,
        late.sum(2) / at_least_one,
        from_end.sum(2) / at_least_one,
        prefix / longer,
        suffix / longer,
        two.sum(2) / at_least_one,
        (right + padding).clamp_min(1e-4).log().sum(2).exp() * as_long,
    ]
    return torch.stack(values, 2)


def _products(values: Tensor) -> Tensor:
    """Products of all values up to each place, without a pole of the gradient where one is 0."""
    return values.clamp_min(1e-4).log().cumsum(2).exp()


def _next_ones(values: Tensor, n: int, axis: int) -> Tensor:
    """The sum of the next n values along an axis, of 2 or 3."""
    total = values.flip(axis).cumsum(axis).flip(axis)  # from here to the end
    pad = [0, 0, 0, n + 1] if axis == 2 else [0, n + 1]
    padded = F.pad(total, pad)
    size = values.size(axis)
    return padded.narrow(axis, 1, size) - padded.narrow(axis, n + 1, size)


def _n_near(length: Tensor, near: int) -> Tensor:
    """Number of near pairs of a sequence."""
    few = length.clamp(max=near + 1.0)
    return (length - few).clamp_min(0) * (near + 1) + few * (few - 1).clamp_min(0) / 2
