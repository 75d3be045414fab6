"""Repeated tokens and runs of equal ones: the material of metrics of diversity and of segments."""

import torch
import torch.nn.functional as F
from torch import Tensor

from autosurrogate.surrogates._layers import matmul
from autosurrogate.surrogates._sequence_order import types_of
from autosurrogate.surrogates._sequence_own import OwnMatches, at_places, later

REPETITION = (
    "-difference of types",
    "-difference of bigrams",
    "-difference of most frequent",
    "-difference of repeats",
)
CONTEXT_OF_REPETITION = (
    *("types", "bigrams", "most frequent", "repeats"),
    *(f"{name} of reference" for name in ("types", "bigrams", "most frequent", "repeats")),
)
RUNS = (
    *("boundary f", "boundary recall", "boundary precision", "near boundary recall", "boundaries and none"),
    *("runs covered", "runs half covered", "whole runs", "-difference of runs"),
)
CONTEXT_OF_RUNS = ("ratio of runs", "runs of reference")


def repetition(matches: OwnMatches) -> tuple[Tensor, Tensor]:
    """`REPETITION` and `CONTEXT_OF_REPETITION`, shapes (n, k, 4) and (n, k, 8).

    Fractions of different tokens and bigrams, of the most frequent token, and of tokens that repeat the one before.
    """
    size, reference = matches.written.clamp_min(1), matches.tokens.sum(1).clamp_min(1)
    pairs = (matches.own * later(matches.own)).sum(3)[:, :, :-1].clamp_min(1)
    both = matches.mass[:, :, :-1] * matches.mass[:, :, 1:]
    of_hypothesis = [
        types_of(matches) / size,
        (both / pairs).sum(2) / (matches.written - 1).clamp_min(1),
        matches.own.sum(3).amax(2) / size,
        _next(matches.own).sum(2) / size,
    ]
    same, tokens = matches.same, matches.tokens
    same_pairs = (same * later(same)).sum(2)[:, :-1].clamp_min(1)
    of_reference = [
        (tokens / same.sum(2).clamp_min(1)).sum(1) / reference,
        (tokens[:, 1:] / same_pairs).sum(1) / (reference - 1).clamp_min(1),
        same.sum(2).amax(1) / reference,
        _next(same.unsqueeze(1)).squeeze(1).sum(1) / reference,
    ]
    hypothesis = torch.stack(of_hypothesis, 2)
    references = torch.stack(of_reference, 1).unsqueeze(1).expand_as(hypothesis)
    return -(hypothesis - references).abs(), torch.cat([hypothesis, references], 2)


def runs(matches: OwnMatches) -> tuple[Tensor, Tensor]:
    """`RUNS` and `CONTEXT_OF_RUNS`, shapes (n, k, 9) and (n, k, 2): of runs of equal tokens.

    Boundaries are where a run begins that is not the first.
    """
    tokens = matches.tokens.unsqueeze(1)
    zero = torch.zeros_like(matches.written)
    changes = (matches.mass[:, :, 1:] * matches.mass[:, :, :-1] - _next(matches.own)[:, :, :-1]).clamp_min(0)
    changes = F.pad(changes, (1, 0)).unsqueeze(3)
    found, soon, late = (at_places(matches, changes, zero + s) for s in (0.0, 1.0, -1.0))
    n_found = changes.sum(3).sum(2)
    continues = F.pad(_next(matches.same.unsqueeze(1)), (1, 0))[:, :, :-1]
    true = tokens * (1 - continues)
    true = torch.cat([torch.zeros_like(true[:, :, :1]), true[:, :, 1:]], 2)
    n_true = true.sum(2)
    hits = (found * true).sum(2)
    near = (torch.maximum(torch.maximum(found, soon), late) * true).sum(2)
    right = at_places(matches, matches.match, zero)
    run = true.squeeze(1).cumsum(1)
    same_run = (run.unsqueeze(2) == run.unsqueeze(1)).to(right.dtype) * matches.tokens.unsqueeze(1)
    length = same_run.sum(2).clamp_min(1).unsqueeze(1)
    covered = matmul(right, same_run.transpose(1, 2)) / length
    of_run = tokens / length / (n_true + 1).unsqueeze(2)  # a run counts once
    reference = matches.tokens.sum(1, keepdim=True).clamp_min(1)
    values = [
        (2 * hits + 0.5) / (n_found + n_true + 0.5),
        (hits + 0.5) / (n_true + 0.5),
        (hits + 0.5) / (n_found + 0.5),
        (near + 0.5) / (n_true + 0.5),
        1 - ((found - true).abs() * tokens).sum(2) / reference,
        (covered * of_run).sum(2),
        (torch.sigmoid(10 * (covered - 0.5)) * of_run).sum(2),
        (torch.sigmoid(20 * (covered - 0.9)) * of_run).sum(2),
        -(n_found - n_true).abs() / reference,
    ]
    ratio = torch.log((n_found + 1) / (n_true + 1)) / 2
    return torch.stack(values, 2), torch.stack([ratio, (n_true / reference).expand_as(ratio)], 2)


def _next(match: Tensor) -> Tensor:
    """match[..., t, t + 1], shape (n, k, T), 0 for the last row."""
    return torch.diagonal(F.pad(match, (0, 1)), 1, 2, 3)
