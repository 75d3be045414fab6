"""Random hypotheses of sequences: references, edits, logits."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from autosurrogate.examples import Examples
from autosurrogate.tasks._draw import Draw
from autosurrogate.tasks._sequence_positions import IGNORE_INDEX

FRACTION_OF_WORDS = 0.4  # of the batches; the others are sentences
SENTENCES = (16, 128), (6, 28)  # vocabulary and length, from and to
WORDS = (10, 64), (5, 14)
FRACTION_ENDED = 0.06  # of the hypotheses and of the sets of severity 1 that end at once


@dataclass(frozen=True)
class _References:
    """n references of their own lengths.

    Args:
        tokens: shape (n, n_tokens).
        length: shape (n, 1), number of tokens that are no padding.
        valid: shape (n, n_tokens), which tokens are no padding.
        frequency: shape (vocabulary,), how often each token is drawn, up to a factor.
        paired: whether tokens 0 and 1, 2 and 3, ... are spelled similarly.
    """

    tokens: Tensor
    length: Tensor
    valid: Tensor
    frequency: Tensor
    paired: bool

    def similar(self) -> Tensor:
        """For each token the one that it is paired with, shape (n, n_tokens)."""
        return (self.tokens ^ 1).clamp(max=len(self.frequency) - 1)


def generate(severity: Tensor, set_size: int, draw: Draw, *, most_tokens: int | None = None) -> Examples:
    """Sets of hypotheses. The quality varies within a set, more so in some sets.

    Args:
        severity: shape (n_points,), in [0, 1].
        set_size: hypotheses a point.
        draw: source of randomness.
        most_tokens: of the vocabulary. If given, tokens 0 and 1, 2 and 3, ... are spelled similarly, and one often
            replaces the other.
    """
    each = severity[:, None].expand(-1, set_size)
    if set_size > 1:
        spread = 1.5 * draw.uniform(len(severity), 1)
        each = (each * torch.exp(spread * draw.normal(len(severity), set_size))).clamp(max=1)
    of_words = draw.uniform(1).item() < FRACTION_OF_WORDS
    references = _references(each.numel(), WORDS if of_words else SENTENCES, draw, most_tokens)
    hypothesis, hyp_mask = _hypotheses(references, each, draw)
    logits = _logits(references, hypothesis, draw)
    return Examples(logits, references.tokens.masked_fill(~references.valid, IGNORE_INDEX), {"preds_mask": hyp_mask})


def _references(
    n: int, sizes: tuple[tuple[int, int], tuple[int, int]], draw: Draw, most_tokens: int | None
) -> _References:
    vocabulary, n_tokens = (round(draw.log_uniform(*size).item()) for size in sizes)
    vocabulary = min(vocabulary, most_tokens or vocabulary)
    zipf = torch.arange(1, vocabulary + 1, dtype=torch.float32) ** -(0.3 + 0.9 * draw.uniform(1))
    frequency = zipf[torch.randperm(vocabulary, generator=draw.generator)]
    tokens = draw.categorical(frequency, n, n_tokens)
    length = (1 + (n_tokens - 1) * draw.uniform(n, 1) ** 0.5).round().long()
    return _References(tokens, length, torch.arange(n_tokens) < length, frequency, most_tokens is not None)


def _hypotheses(references: _References, severity: Tensor, draw: Draw) -> tuple[Tensor, Tensor]:
    """Edited references: tokens (n, n_positions), and the positions of the hypothesis (n, n_positions).

    Args:
        references: n of them.
        severity: shape (n_points, set_size).
        draw: source of randomness.
    """
    n, n_tokens = references.tokens.shape
    tokens, keys, present = _edited(references, severity.flatten(), draw)
    same_length = (
        draw.uniform(1).item() < 0.5
    )  # as many positions as the reference, as of a model that knows the length
    n_positions = n_tokens if same_length else max(2, int(n_tokens * (0.9 + 0.5 * draw.uniform(1).item())))
    order = keys.masked_fill(~present, math.inf).argsort(1)[:, :n_positions]
    hypothesis, hyp_mask = tokens.gather(1, order), present.gather(1, order)
    if not same_length:
        return hypothesis, _ended_at_once(hyp_mask, severity, draw)
    # The positions left over at the end are filled with repeats or any token.
    one_token = draw.uniform(n, 1) < 0.5
    filler = torch.where(one_token, hypothesis[:, :1], draw.categorical(references.frequency, n, n_positions))
    last = hypothesis.gather(1, (hyp_mask.sum(1, keepdim=True) - 1).clamp_min(0))
    filler = torch.where(draw.uniform(n, n_positions) < 0.5, last, filler)
    return torch.where(hyp_mask, hypothesis, filler), torch.arange(n_positions) < references.length


def _ended_at_once(hyp_mask: Tensor, severity: Tensor, draw: Draw) -> Tensor:
    """Few hypotheses, and all of a few sets, end before their first token or after it: shape (n, n_positions)."""
    ended = draw.uniform(*severity.shape) < FRACTION_ENDED * severity
    ended |= draw.uniform(len(severity), 1) < FRACTION_ENDED * severity.mean(1, keepdim=True)
    n_left = torch.where(ended, draw.uniform(*severity.shape).round(), torch.inf).view(-1, 1)
    return hyp_mask & (hyp_mask.cumsum(1) <= n_left)


def _edited(references: _References, severity: Tensor, draw: Draw) -> tuple[Tensor, Tensor, Tensor]:
    """Candidate tokens of the hypotheses, keys to sort them by, and which of them are used, each (n, 3 * n_tokens).

    Each token of a reference yields itself, perhaps itself again, perhaps another token.
    """
    n, n_tokens = references.tokens.shape
    position = torch.arange(n_tokens).expand(n, -1)
    # Edits of each kind in random proportions for each example, mostly one or two kinds.
    fraction = (2.0 * draw.normal(n, 7)).softmax(-1)[:, :, None] * (severity * 1.8)[:, None, None]
    substitute, omit, repeat, insert, swap, move, cut = fraction.unbind(1)

    any_token = draw.uniform(n, n_tokens) < substitute
    token = torch.where(any_token, draw.categorical(references.frequency, n, n_tokens), references.tokens)
    elsewhere = references.tokens.gather(1, (draw.uniform(n, n_tokens) * references.length).long())
    token = torch.where(draw.uniform(n, n_tokens) < 0.3 * substitute, elsewhere, token)
    if references.paired:
        token = torch.where(draw.uniform(n, n_tokens) < draw.uniform(n, 1) * substitute, references.similar(), token)

    omitted = draw.uniform(n, n_tokens) < omit
    omitted |= position >= references.length * (1 - cut * draw.uniform(n, 1))
    key = position + 2.5 * (draw.uniform(n, n_tokens) - 0.5) * (draw.uniform(n, n_tokens) < 2 * swap)
    start = (draw.uniform(n, 1) * references.length).floor()
    n_moved = (draw.uniform(n, 1) * references.length * 0.7 + 1).floor()
    moved = (position >= start) & (position < start + n_moved) & (draw.uniform(n, 1) < 2 * move)
    key = torch.where(moved, key + (draw.uniform(n, 1) * 2 - 1) * references.length, key)

    from_elsewhere = draw.uniform(n, n_tokens) < 0.5
    inserted = torch.where(from_elsewhere, elsewhere, draw.categorical(references.frequency, n, n_tokens))
    repeated = ~omitted & (draw.uniform(n, n_tokens) < repeat)
    present = torch.cat([~omitted, repeated, draw.uniform(n, n_tokens) < insert], 1) & references.valid.repeat(1, 3)
    return torch.cat([token, token, inserted], 1), torch.cat([key, key + 0.01, key + 0.02], 1), present


def _logits(references: _References, hypothesis: Tensor, draw: Draw) -> Tensor:
    """Logits (n, n_positions, vocabulary) whose largest is nearly always the hypothesis's token.

    Next come the reference's own token there, its neighbours, and any other token, each with a gap of its own.
    """
    n, n_positions = hypothesis.shape
    logits = draw.normal(n, n_positions, len(references.frequency)) * (0.3 + 1.2 * draw.uniform(n, 1, 1))
    sure = (0.5 + 6.0 * draw.uniform(n, 1)) * (0.3 + draw.exponential(n, n_positions)) + logits.amax(-1)
    gap = (0.3 + 3.0 * draw.uniform(n, 1)) * draw.exponential(n, n_positions)
    padded = torch.cat([references.tokens, draw.categorical(references.frequency, n, n_positions)], 1)
    spread = 0.2 + 2.0 * draw.uniform(n, 1)
    for shift in (0, 1, -1, 2, -2):
        beside = padded.gather(1, (torch.arange(n_positions) + shift).clamp_min(0).expand(n, -1))
        height = sure - gap - spread * abs(shift) - draw.exponential(n, n_positions)
        _raise_to(logits, beside, height.masked_fill(draw.uniform(n, n_positions) > 0.6, -math.inf))
    if references.paired:
        padded = torch.cat([references.similar(), draw.categorical(references.frequency, n, n_positions)], 1)
        height = sure - gap - draw.exponential(n, n_positions)
        _raise_to(logits, padded[:, :n_positions], height.masked_fill(draw.uniform(n, n_positions) > 0.6, -math.inf))
    absent = draw.uniform(n, n_positions) > 0.6
    height = sure - (0.3 + 3.0 * draw.uniform(n, 1)) * draw.exponential(n, n_positions)
    height = height.masked_fill(absent, -math.inf)
    _raise_to(logits, draw.categorical(references.frequency, n, n_positions), height)
    _raise_to(logits, hypothesis, sure)
    return logits * torch.exp(0.6 * draw.normal(n, 1, 1)).clamp(0.25, 4.0)


def _raise_to(logits: Tensor, token: Tensor, height: Tensor) -> None:
    """Lift the logit of `token` (n, T) to `height` (n, T) where it is lower."""
    logits.scatter_reduce_(-1, token[..., None], height[..., None], "amax")
