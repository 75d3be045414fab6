"""The match matrix of a sequence: how probably each token of the hypothesis is each token of the reference."""

import torch
from torch import Tensor


def of_reference(logits: Tensor, target: Tensor) -> Tensor:
    """The logit of each token of the reference at each position, (n, T, V) and (n, S) to (n, T, S)."""
    return logits.gather(2, target.unsqueeze(1).expand(-1, logits.size(1), -1))


def soft_matches(
    logits: Tensor,
    reference_logits: Tensor,
    largest: Tensor,
    there: Tensor,
    keep: Tensor,
    target: Tensor,
    real: Tensor,
    temperature: float,
    eos_id: int,
    blank_id: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Probabilities at one temperature; as it falls they tend to what is decoded.

    Args:
        logits: shape (n, T, V).
        reference_logits: shape (n, T, S), see `of_reference`.
        largest: logit of each position, shape (n, T), without a gradient.
        there: bool (n, T), the positions there are.
        keep: bool (n, T), those that hold a token of the hypothesis.
        target: shape (n, S).
        real: bool (n, S), the tokens of the reference.
        temperature: of the softmax.
        eos_id: the token whose probability ends the hypothesis; -1: none.
        blank_id: the blank of CTC; -1: none.

    Returns:
        The match matrix (n, T, S), A[t, s] the probability that the hypothesis's t-th token is the reference's s-th,
        rows without a token last; how much of a token each row holds, (n, T); how much is written in all, (n,); and
        with a blank, what the gaps between the tokens hold of the reference's, (n, T + 1, S), each before its token.
    """
    normaliser = _log_normaliser(logits, largest, temperature)
    match = torch.exp(reference_logits / temperature - normaliser.unsqueeze(2))
    match = match * (real & (target != blank_id)).unsqueeze(1)
    if blank_id >= 0:
        probability = torch.exp(logits / temperature - normaliser.unsqueeze(2)) * there.unsqueeze(2)
        is_blank = logits.argmax(2) == blank_id
        return _collapsed(probability, match * there.unsqueeze(2), keep, is_blank, blank_id)
    order = torch.argsort((~keep).to(torch.uint8), dim=1, stable=True)
    mass = keep.to(logits.dtype)
    if eos_id >= 0:
        end = torch.exp(logits[:, :, eos_id] / temperature - normaliser).clamp(max=1 - 1e-6)
        mass = torch.exp(torch.log1p(-end).cumsum(1))
        match = match / (1 - end).unsqueeze(2)  # the probability of a token that is not the end
    match = match * mass.unsqueeze(2)
    match = match.gather(1, order.unsqueeze(2).expand(-1, -1, match.size(2)))
    return match, mass.gather(1, order), mass.sum(1), None


def _log_normaliser(logits: Tensor, largest: Tensor, temperature: float) -> Tensor:
    """`(logits / temperature).logsumexp(2)`, which is most of the cost where the vocabulary is large.

    The probabilities are taken as constants, which a gradient does not notice: that spares passes over it.
    """
    fixed = logits.detach()
    probability = (fixed if temperature == 1.0 else fixed / temperature).softmax(2)
    value = largest / temperature - probability.amax(2).log()
    moved = (probability * logits).sum(2) / temperature
    return value + (moved - moved.detach())


def _collapsed(
    probability: Tensor, match: Tensor, keep: Tensor, is_blank: Tensor, blank_id: int
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """CTC's frames as `soft_matches` returns them.

    A frame writes of each token as much as its probability rises from the frame before: nothing in a run, for
    neighbouring frames are alike. What the frames write in which a token wins is written in that token's place,
    what the others write, in the gap they are in; so a missing token has a gradient where the blank wins.

    Args:
        probability: shape (n, T, V), 0 where there is no frame.
        match: shape (n, T, S), 0 where there is no frame.
        keep: bool (n, T), the frames that hold a token of the hypothesis.
        is_blank: bool (n, T), where the blank wins.
        blank_id: the blank.
    """
    rises = _rises(probability)
    written = rises.sum(2) - rises[:, :, blank_id]
    n_before = keep.cumsum(1)
    gap = n_before.unsqueeze(2).expand(-1, -1, match.size(2))  # before which token
    token = (n_before - 1).clamp_min(0)
    rises, blank = _rises(match), is_blank.unsqueeze(2)
    empty = torch.zeros_like(match)
    in_tokens = empty.scatter_add(1, token.unsqueeze(2).expand(-1, -1, match.size(2)), rises * (~blank))
    in_gaps = torch.cat([empty, empty[:, :1]], 1).scatter_add(1, gap, rises * blank)
    mass = torch.zeros_like(written).scatter_add(1, token, written * (~is_blank))
    return in_tokens, mass.clamp(max=1.0), written.sum(1), in_gaps


def _rises(frames: Tensor) -> Tensor:
    """How much each frame exceeds the one before, 0 where it does not; the same shape."""
    before = torch.cat([torch.zeros_like(frames[:, :1]), frames[:, :-1]], 1)
    return (frames - before).clamp_min(0)


def soft_counts(
    logits: Tensor, largest: Tensor, there: Tensor, keep: Tensor, temperature: float, eos_id: int, blank_id: int
) -> Tensor:
    """How often each token is written, shape (n, V), expected of the probabilities at one temperature.

    Args:
        logits: shape (n, T, V).
        largest: logit of each position, shape (n, T), without a gradient.
        there: bool (n, T), the positions there are.
        keep: bool (n, T), those that hold a token of the hypothesis.
        temperature: of the softmax.
        eos_id: the token whose probability ends the hypothesis, and that is not counted; -1: none.
        blank_id: the blank of CTC, which is not counted; -1: none.
    """
    normaliser = _log_normaliser(logits, largest, temperature)
    probability = torch.exp(logits / temperature - normaliser.unsqueeze(2))
    if blank_id >= 0:
        counts = _rises(probability * there.unsqueeze(2)).sum(1)
        counted = torch.ones_like(counts[0])
        counted[blank_id] = 0.0
        return counts * counted
    mass = keep.to(logits.dtype)
    if eos_id >= 0:
        end = probability[:, :, eos_id].clamp(max=1 - 1e-6)
        mass = torch.exp(torch.log1p(-end).cumsum(1)) / (1 - end)
    counts = (probability * mass.unsqueeze(2)).sum(1)
    if eos_id >= 0:
        counted = torch.ones_like(counts[0])
        counted[eos_id] = 0.0
        counts = counts * counted
    return counts
