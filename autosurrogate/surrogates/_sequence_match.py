"""The match matrix of a sequence: how probably each token of the hypothesis is each token of the reference."""

import torch
from torch import Tensor

from autosurrogate.surrogates._layers import FAR, bounded

# Logits that a scripted loss works on at a time: on a CPU they stay in its cache, on a GPU they spare memory.
PIECE = 2**21
PIECE_ON_GPU = 2**24
MANY = 2**23  # logits from which memory is spared
SHARP = 0.1  # a temperature below which exponentials are often too small for normal numbers, and slow


def softmax_parts(
    logits: Tensor,
    target: Tensor,
    temperatures: list[float],
    eos_id: int,
    piece: int = PIECE,
    piece_on_gpu: int = PIECE_ON_GPU,
    many: int = MANY,
) -> tuple[Tensor, Tensor, Tensor]:
    """All that is needed of the softmax at several temperatures, without one of them in memory.

    Args:
        logits: shape (n, T, V).
        target: shape (n, S).
        temperatures: of the softmax.
        eos_id: the token that ends a hypothesis; -1: none.
        piece: logits to work on at a time, on a CPU.
        piece_on_gpu: on a GPU.
        many: number of logits from which memory is spared.

    Returns:
        Logits of the reference's tokens, (n, T, S), and of the end, (n, T), 0 if there is none; and at each temperature
        the logarithm of the softmax's denominator, (n, T, n_temperatures).
    """
    rows = max(1, (piece_on_gpu if logits.is_cuda else piece) // max(1, logits.size(1) * logits.size(2)))
    if not torch.jit.is_scripting():  # type: ignore[attr-defined]
        return _softmax_parts(logits, target, temperatures, eos_id, False)
    sparing = logits.numel() >= many
    if rows >= logits.size(0):
        return _softmax_parts(logits, target, temperatures, eos_id, sparing)
    found: list[Tensor] = []
    ends: list[Tensor] = []
    normalisers: list[Tensor] = []
    tokens = target.split(rows)  # type: ignore[no-untyped-call]
    for i, part in enumerate(logits.split(rows)):  # type: ignore[no-untyped-call]
        of_reference, of_end, of_all = _softmax_parts(part, tokens[i], temperatures, eos_id, sparing)
        found.append(of_reference)
        ends.append(of_end)
        normalisers.append(of_all)
    return torch.cat(found), torch.cat(ends), torch.cat(normalisers)


def _softmax_parts(
    logits: Tensor,
    target: Tensor,
    temperatures: list[float],
    eos_id: int,
    sparing: bool,
    far: float = FAR,
    sharp: float = SHARP,
) -> tuple[Tensor, Tensor, Tensor]:
    """As `softmax_parts`; if `sparing`, one exponential is kept for the backward pass, else one a temperature."""
    largest = bounded(logits.detach().amax(2))
    finite = logits.to(torch.float32)
    # On a CPU new memory is what costs most: where the largest logits are finite, those that are not do no harm.
    if logits.is_cuda or not torch.jit.is_scripting() or bool((largest.abs() >= far).any()):  # type: ignore[attr-defined]
        finite = bounded(logits)
    below, highest = finite - largest.unsqueeze(2), max(temperatures)
    shared = below.div_(highest).exp_() if sparing else (below / highest).exp_()
    normalisers: list[Tensor] = []
    for temperature in temperatures:
        if temperature == highest:
            powers = shared
        elif sparing or temperature < sharp:
            powers = shared.pow(highest / temperature)  # which is the exponential at a lower temperature
        else:
            powers = (below / temperature).exp_()
        normalisers.append(powers.sum(2).log() + largest / temperature)
    of_reference = finite.gather(2, target.unsqueeze(1).expand(-1, logits.size(1), -1))
    of_end = finite[:, :, eos_id] if eos_id >= 0 else torch.zeros_like(largest)
    return bounded(of_reference), bounded(of_end), torch.stack(normalisers, 2)


def soft_matches(
    reference_logits: Tensor,
    end_logits: Tensor,
    normalisers: Tensor,
    keep: Tensor,
    target: Tensor,
    real: Tensor,
    temperatures: Tensor,
    eos_id: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Probabilities at each temperature; as it falls they tend to what is decoded.

    Args:
        reference_logits: shape (n, T, S), see `softmax_parts`.
        end_logits: shape (n, T), as well.
        normalisers: logarithms of the softmax's denominators, shape (n, T, k), as well.
        keep: bool (n, T), those that hold a token of the hypothesis.
        target: shape (n, S).
        real: bool (n, S), the tokens of the reference.
        temperatures: of the softmax, shape (k,).
        eos_id: the token whose probability ends the hypothesis; -1: none.

    Returns:
        The match matrices (n, k, T, S), A[t, s] the probability that the hypothesis's t-th token is the reference's
        s-th, rows without a token last; how much of a token each row holds, (n, k, T); and how much is written in all,
        (n, k).
    """
    temperatures = temperatures.to(normalisers.dtype)
    match = _of_reference(reference_logits, normalisers, target, real, temperatures, -1)
    order = torch.argsort((~keep).to(torch.uint8), dim=1, stable=True).unsqueeze(1).expand(-1, match.size(1), -1)
    mass = keep.to(normalisers.dtype).unsqueeze(1).expand(-1, match.size(1), -1)
    if eos_id >= 0:
        end = torch.exp(end_logits.unsqueeze(1) / temperatures.view(-1, 1) - normalisers.transpose(1, 2))
        end = end.clamp(max=1 - 1e-6)
        mass = torch.exp(torch.log1p(-end).cumsum(2))
        match = match / (1 - end).unsqueeze(3)  # the probability of a token that is not the end
    match = match * mass.unsqueeze(3)
    match = match.gather(2, order.unsqueeze(3).expand(-1, -1, -1, match.size(3)))
    return match, mass.gather(2, order), mass.sum(2)


def frame_matches(
    logits: Tensor,
    reference_logits: Tensor,
    normalisers: Tensor,
    there: Tensor,
    target: Tensor,
    real: Tensor,
    temperatures: Tensor,
    blank_id: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """What CTC's frames write: of each token as much as its probability rises from the frame before.

    That is nothing in a run, for neighbouring frames are alike. Nothing depends on which token wins: it would jump
    where another begins to, and a loss that is followed down its gradient would be led across the jump.

    Args:
        logits: shape (n, T, V).
        reference_logits: see `soft_matches`, as are those that follow.
        normalisers: see there.
        there: bool (n, T), the frames there are.
        target: see there.
        real: see there.
        temperatures: see there.
        blank_id: the blank.

    Returns:
        How much each frame writes of each of the reference's tokens, (n, k, T, S), and of any token, (n, k, T), at most
        1; and how much is written in all, (n, k).
    """
    temperatures = temperatures.to(normalisers.dtype)
    match = _of_reference(reference_logits, normalisers, target, real, temperatures, blank_id)
    match = _rises((match * there.unsqueeze(1).unsqueeze(3)).flatten(0, 1)).view(match.size())
    finite = bounded(logits)
    masses: list[Tensor] = []
    for i in range(match.size(1)):
        rises = _rises(_probabilities(finite, normalisers, there, temperatures, i))
        masses.append(rises.sum(2) - rises[:, :, blank_id])
    mass = torch.stack(masses, 1)
    return match, mass, mass.sum(2)


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


def _of_reference(
    reference_logits: Tensor, normalisers: Tensor, target: Tensor, real: Tensor, temperatures: Tensor, blank_id: int
) -> Tensor:
    """The probability of each token of the reference at each position, shape (n, k, T, S)."""
    scaled = reference_logits.unsqueeze(1) / temperatures.view(-1, 1, 1)
    found = torch.exp(scaled - normalisers.transpose(1, 2).unsqueeze(3))
    return found * (real & (target != blank_id)).unsqueeze(1).unsqueeze(1)


def _probabilities(finite: Tensor, normalisers: Tensor, there: Tensor, temperatures: Tensor, i: int) -> Tensor:
    """Of all tokens at the i-th temperature, shape (n, T, V), 0 where there is no position."""
    return torch.exp(finite / temperatures[i] - normalisers[:, :, i].unsqueeze(2)) * there.unsqueeze(2)


def _rises(frames: Tensor) -> Tensor:
    """How much each frame exceeds the one before, 0 where it does not; the same shape."""
    before = torch.cat([torch.zeros_like(frames[:, :1]), frames[:, :-1]], 1)
    return (frames - before).clamp_min(0)


def soft_counts(
    logits: Tensor, normaliser: Tensor, there: Tensor, keep: Tensor, temperature: float, eos_id: int, blank_id: int
) -> Tensor:
    """How often each token is written, shape (n, V), expected of the probabilities at one temperature.

    Args:
        logits: shape (n, T, V).
        normaliser: logarithm of the softmax's denominator, shape (n, T), see `softmax_parts`.
        there: bool (n, T), the positions there are.
        keep: bool (n, T), those that hold a token of the hypothesis.
        temperature: of the softmax.
        eos_id: the token whose probability ends the hypothesis, and that is not counted; -1: none.
        blank_id: the blank of CTC, which is not counted; -1: none.
    """
    probability = torch.exp(bounded(logits) / temperature - normaliser.unsqueeze(2))
    if blank_id >= 0:
        counts = _rises(probability * there.unsqueeze(2)).sum(1)
    else:
        mass = keep.to(probability.dtype)
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
