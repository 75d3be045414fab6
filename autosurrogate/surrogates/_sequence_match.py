"""The match matrix of a sequence: how probably each token of the hypothesis is each token of the reference."""

from typing import NamedTuple

import torch
from torch import Tensor

from autosurrogate.surrogates._layers import FAR, bounded
from autosurrogate.surrogates._sequence_batch import SequenceBatch

# Logits that a scripted loss works on at a time: on a CPU they stay in its cache, on a GPU they save memory.
PIECE = 2**21
PIECE_ON_GPU = 2**24
MANY = 2**23  # logits from which memory is saved
SHARP = 0.1  # a temperature below which exponentials are often too small for normal numbers, and slow


class SoftmaxParts(NamedTuple):
    """What the features need of the softmax at k temperatures.

    Attributes:
        reference_logits: logits of the reference's tokens, shape (n, T, S).
        eos_logits: logits of `eos_id`, shape (n, T); 0 without one.
        log_normalisers: logarithms of the softmax's denominators, shape (n, T, k).
    """

    reference_logits: Tensor
    eos_logits: Tensor
    log_normalisers: Tensor


class SoftMatches(NamedTuple):
    """The match matrices of n examples at k temperatures.

    Attributes:
        match: shape (n, k, T, S): how probably the token of row t is the reference's s-th.
        mass: shape (n, k, T): how much of a token each row holds, at most 1.
        length: shape (n, k): how many tokens the hypothesis has, the sum of `mass`.
    """

    match: Tensor
    mass: Tensor
    length: Tensor


def softmax_parts(
    logits: Tensor,
    target: Tensor,
    temperatures: list[float],
    eos_id: int,
    piece: int = PIECE,
    piece_on_gpu: int = PIECE_ON_GPU,
    many: int = MANY,
) -> SoftmaxParts:
    """All that is needed of the softmax at several temperatures, without one of them in memory.

    Args:
        logits: shape (n, T, V).
        target: shape (n, S).
        temperatures: of the softmax.
        eos_id: the token that ends a hypothesis; -1: none.
        piece: logits to work on at a time, on a CPU.
        piece_on_gpu: on a GPU.
        many: number of logits from which memory is saved.
    """
    n_examples = max(1, (piece_on_gpu if logits.is_cuda else piece) // max(1, logits.size(1) * logits.size(2)))
    if not torch.jit.is_scripting():  # type: ignore[attr-defined]
        return _softmax_parts(logits, target, temperatures, eos_id, False)
    saves_memory = logits.numel() >= many
    if n_examples >= logits.size(0):
        return _softmax_parts(logits, target, temperatures, eos_id, saves_memory)
    reference_logits: list[Tensor] = []
    eos_logits: list[Tensor] = []
    log_normalisers: list[Tensor] = []
    targets = target.split(n_examples)  # type: ignore[no-untyped-call]
    for i, piece_logits in enumerate(logits.split(n_examples)):  # type: ignore[no-untyped-call]
        softmax = _softmax_parts(piece_logits, targets[i], temperatures, eos_id, saves_memory)
        reference_logits.append(softmax.reference_logits)
        eos_logits.append(softmax.eos_logits)
        log_normalisers.append(softmax.log_normalisers)
    return SoftmaxParts(torch.cat(reference_logits), torch.cat(eos_logits), torch.cat(log_normalisers))


def _softmax_parts(
    logits: Tensor,
    target: Tensor,
    temperatures: list[float],
    eos_id: int,
    saves_memory: bool,
    far: float = FAR,
    sharp: float = SHARP,
) -> SoftmaxParts:
    """As `softmax_parts`; if `saves_memory`, one exponential is kept for the backward pass, else one a temperature."""
    largest = bounded(logits.detach().amax(2))
    finite = logits.to(torch.float32)
    # On a CPU new memory is what costs most: where the largest logits are finite, those that are not do no harm.
    if logits.is_cuda or not torch.jit.is_scripting() or bool((largest.abs() >= far).any()):  # type: ignore[attr-defined]
        finite = bounded(logits)
    below, highest = finite - largest.unsqueeze(2), max(temperatures)
    shared = below.div_(highest).exp_() if saves_memory else (below / highest).exp_()
    log_normalisers: list[Tensor] = []
    for temperature in temperatures:
        if temperature == highest:
            powers = shared
        elif saves_memory or temperature < sharp:
            powers = shared.pow(highest / temperature)  # which is the exponential at a lower temperature
        else:
            powers = (below / temperature).exp_()
        log_normalisers.append(powers.sum(2).log() + largest / temperature)
    reference_logits = finite.gather(2, target.unsqueeze(1).expand(-1, logits.size(1), -1))
    eos_logits = finite[:, :, eos_id] if eos_id >= 0 else torch.zeros_like(largest)
    return SoftmaxParts(bounded(reference_logits), bounded(eos_logits), torch.stack(log_normalisers, 2))


def soft_matches(batch: SequenceBatch, softmax: SoftmaxParts, temperatures: Tensor) -> SoftMatches:
    """Matches of tokens at each temperature; as it falls they tend to those of what is decoded.

    Args:
        batch: the sequences.
        softmax: from `softmax_parts`.
        temperatures: of the softmax, shape (k,).

    Returns:
        Rows are the tokens of the hypothesis in order; those without a token come last.
    """
    log_normalisers = softmax.log_normalisers
    temperatures = temperatures.to(log_normalisers.dtype)
    match = _reference_probabilities(batch, softmax, temperatures, -1)
    order = torch.argsort((~batch.hyp_mask).to(torch.uint8), dim=1, stable=True)
    order = order.unsqueeze(1).expand(-1, match.size(1), -1)
    mass = batch.hyp_mask.to(log_normalisers.dtype).unsqueeze(1).expand(-1, match.size(1), -1)
    if batch.eos_id >= 0:
        end = torch.exp(softmax.eos_logits.unsqueeze(1) / temperatures.view(-1, 1) - log_normalisers.transpose(1, 2))
        end = end.clamp(max=1 - 1e-6)
        mass = torch.exp(torch.log1p(-end).cumsum(2))
        match = match / (1 - end).unsqueeze(3)  # the probability of a token that is not the end
    match = match * mass.unsqueeze(3)
    match = match.gather(2, order.unsqueeze(3).expand(-1, -1, -1, match.size(3)))
    return SoftMatches(match, mass.gather(2, order), mass.sum(2))


def frame_matches(batch: SequenceBatch, softmax: SoftmaxParts, temperatures: Tensor) -> SoftMatches:
    """Matches of CTC's frames: each writes as much of a token as its probability rises from the frame before.

    That is nothing in a run, for neighbouring frames are alike. Nothing depends on which token wins: it would jump
    where another begins to, and a loss that is followed down its gradient would be led across the jump.

    Args:
        batch: the sequences.
        softmax: from `softmax_parts`.
        temperatures: of the softmax, shape (k,).

    Returns:
        Rows are the frames.
    """
    log_normalisers = softmax.log_normalisers
    temperatures = temperatures.to(log_normalisers.dtype)
    match = _reference_probabilities(batch, softmax, temperatures, batch.blank_id)
    match = _rises((match * batch.valid.unsqueeze(1).unsqueeze(3)).flatten(0, 1)).view(match.size())
    finite = bounded(batch.logits)
    masses: list[Tensor] = []
    for i in range(match.size(1)):
        rises = _rises(_probabilities(finite, log_normalisers, batch.valid, temperatures, i))
        masses.append(rises.sum(2) - rises[:, :, batch.blank_id])
    mass = torch.stack(masses, 1)
    return SoftMatches(match, mass, mass.sum(2))


def near_diagonal(match: Tensor, mass: Tensor, shift: float) -> Tensor:
    """How much of each of the reference's tokens CTC's frames write at its place, shape (n, k, S).

    A frame's place is how much is written before it; what lies between two places counts for both, in parts.

    Args:
        match: of frames, see `frame_matches`.
        mass: of frames, as well.
        shift: places by which a token is to come too soon.
    """
    place = (mass.cumsum(2) - mass).unsqueeze(3)
    places = torch.arange(match.size(3), dtype=match.dtype, device=match.device)
    return (match * (1 - (place + shift - places).abs()).clamp_min(0)).sum(2)


def soft_counts(batch: SequenceBatch, log_normaliser: Tensor, temperature: float) -> Tensor:
    """How often each token is written, shape (n, V), expected of the probabilities at one temperature.

    Neither `eos_id` nor `blank_id` is counted.

    Args:
        batch: the sequences.
        log_normaliser: at this temperature, shape (n, T), see `softmax_parts`.
        temperature: of the softmax.
    """
    eos_id, blank_id = batch.eos_id, batch.blank_id
    probability = torch.exp(bounded(batch.logits) / temperature - log_normaliser.unsqueeze(2))
    if blank_id >= 0:
        counts = _rises(probability * batch.valid.unsqueeze(2)).sum(1)
    else:
        mass = batch.hyp_mask.to(probability.dtype)
        if eos_id >= 0:
            end = probability[:, :, eos_id].clamp(max=1 - 1e-6)
            mass = torch.exp(torch.log1p(-end).cumsum(1)) / (1 - end)
        counts = (probability * mass.unsqueeze(2)).sum(1)
    silent = blank_id if blank_id >= 0 else eos_id
    if silent < 0:
        return counts
    counted = torch.ones_like(counts[0])
    counted[silent] = 0.0
    return counts * counted


def _reference_probabilities(
    batch: SequenceBatch, softmax: SoftmaxParts, temperatures: Tensor, blank_id: int
) -> Tensor:
    """The probability of each token of the reference at each position, shape (n, k, T, S)."""
    scaled = softmax.reference_logits.unsqueeze(1) / temperatures.view(-1, 1, 1)
    probability = torch.exp(scaled - softmax.log_normalisers.transpose(1, 2).unsqueeze(3))
    return probability * (batch.ref_mask & (batch.target != blank_id)).unsqueeze(1).unsqueeze(1)


def _probabilities(finite: Tensor, log_normalisers: Tensor, valid: Tensor, temperatures: Tensor, i: int) -> Tensor:
    """Of all tokens at the i-th temperature, shape (n, T, V), 0 at padding."""
    return torch.exp(finite / temperatures[i] - log_normalisers[:, :, i].unsqueeze(2)) * valid.unsqueeze(2)


def _rises(frames: Tensor) -> Tensor:
    """How much each frame exceeds the one before, 0 where it does not; the same shape."""
    before = torch.cat([torch.zeros_like(frames[:, :1]), frames[:, :-1]], 1)
    return (frames - before).clamp_min(0)
