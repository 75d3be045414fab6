"""Random hypotheses of sequences: references, edits, frames of CTC, logits."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from autosurrogate.examples import Examples
from autosurrogate.tasks._draw import Draw
from autosurrogate.tasks._sequence_positions import IGNORE_INDEX

SHARE_OF_WORDS = 0.4  # of the batches; the others are sentences
SHARE_OF_FRAMES = 0.4  # of the batches of words
SENTENCES = (16, 128), (6, 28)  # vocabulary and length, from and to
WORDS = (10, 64), (5, 14)


@dataclass(frozen=True)
class _References:
    """n references of their own lengths.

    Args:
        tokens: shape (n, n_tokens).
        length: shape (n, 1), how many of the tokens are real.
        real: shape (n, n_tokens), which.
        frequency: shape (vocabulary,), how often each token is drawn, up to a factor.
    """

    tokens: Tensor
    length: Tensor
    real: Tensor
    frequency: Tensor


@dataclass(frozen=True)
class _Positions:
    """What a model decides in each of its positions, each shape (n, T).

    Args:
        token: the one with the largest logit.
        there: which positions there are.
        place: where about in the reference the position is.
    """

    token: Tensor
    there: Tensor
    place: Tensor


def generate(severity: Tensor, set_size: int, draw: Draw) -> Examples:
    """Sets of hypotheses; within a set some fare better than others, more so in some sets."""
    each = severity[:, None].expand(-1, set_size)
    if set_size > 1:
        spread = 1.5 * draw.uniform(len(severity), 1)
        each = (each * torch.exp(spread * draw.normal(len(severity), set_size))).clamp(max=1)
    of_words = draw.uniform(1).item() < SHARE_OF_WORDS
    in_frames = of_words and draw.uniform(1).item() < SHARE_OF_FRAMES
    references = _references(each.numel(), WORDS if of_words else SENTENCES, draw)
    hypotheses = _hypotheses(references, each.flatten(), not in_frames and draw.uniform(1).item() < 0.5, draw)
    target = references.tokens.masked_fill(~references.real, IGNORE_INDEX)
    if not in_frames:
        logits = _logits(references, hypotheses, len(references.frequency), draw)
        return Examples(logits, target, {"preds_mask": hypotheses.there})
    blank = len(references.frequency)
    frames = _frames(hypotheses, blank, draw)
    logits = _logits(references, frames, blank + 1, draw)
    return Examples(
        logits, target, {"preds_mask": frames.there, "blank_id": torch.full((len(target),), blank)}
    )  # fmt: skip


def _references(n: int, sizes: tuple[tuple[int, int], tuple[int, int]], draw: Draw) -> _References:
    vocabulary, n_tokens = (round(draw.log_uniform(*size).item()) for size in sizes)
    zipf = torch.arange(1, vocabulary + 1, dtype=torch.float32) ** -(0.3 + 0.9 * draw.uniform(1))
    frequency = zipf[torch.randperm(vocabulary, generator=draw.generator)]
    tokens = draw.categorical(frequency, n, n_tokens)
    length = (1 + (n_tokens - 1) * draw.uniform(n, 1) ** 0.5).round().long()
    return _References(tokens, length, torch.arange(n_tokens) < length, frequency)


def _hypotheses(references: _References, severity: Tensor, told_length: bool, draw: Draw) -> _Positions:
    """Edited references, of as many positions as the reference where a model is told its length."""
    n, n_tokens = references.tokens.shape
    tokens, keys, here = _edited(references, severity, draw)
    n_positions = n_tokens if told_length else max(2, int(n_tokens * (0.9 + 0.5 * draw.uniform(1).item())))
    order = keys.masked_fill(~here, math.inf).argsort(1)[:, :n_positions]
    hypothesis, keep = tokens.gather(1, order), here.gather(1, order)
    place = torch.arange(n_positions).expand(n, -1)
    if not told_length:
        return _Positions(hypothesis, keep, place)
    # The positions left over at the end are filled with repeats or any token.
    one_token = draw.uniform(n, 1) < 0.5
    filler = torch.where(one_token, hypothesis[:, :1], draw.categorical(references.frequency, n, n_positions))
    last = hypothesis.gather(1, (keep.sum(1, keepdim=True) - 1).clamp_min(0))
    filler = torch.where(draw.uniform(n, n_positions) < 0.5, last, filler)
    return _Positions(torch.where(keep, hypothesis, filler), torch.arange(n_positions) < references.length, place)


def _edited(references: _References, severity: Tensor, draw: Draw) -> tuple[Tensor, Tensor, Tensor]:
    """What the hypotheses are made of, each shape (n, 3 * n_tokens): tokens, keys to sort them by, and which are there.

    Each token of a reference yields itself, perhaps itself again, perhaps another token.
    """
    n, n_tokens = references.tokens.shape
    position = torch.arange(n_tokens).expand(n, -1)
    # Edits of each kind in proportions drawn for each example, mostly one or two kinds.
    share = (2.0 * draw.normal(n, 7)).softmax(-1)[:, :, None] * (severity * 1.8)[:, None, None]
    substitute, omit, repeat, insert, swap, move, cut = share.unbind(1)

    any_token = draw.uniform(n, n_tokens) < substitute
    token = torch.where(any_token, draw.categorical(references.frequency, n, n_tokens), references.tokens)
    elsewhere = references.tokens.gather(1, (draw.uniform(n, n_tokens) * references.length).long())
    token = torch.where(draw.uniform(n, n_tokens) < 0.3 * substitute, elsewhere, token)

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
    here = torch.cat([~omitted, repeated, draw.uniform(n, n_tokens) < insert], 1) & references.real.repeat(1, 3)
    return torch.cat([token, token, inserted], 1), torch.cat([key, key + 0.01, key + 0.02], 1), here


def _frames(hypotheses: _Positions, blank: int, draw: Draw) -> _Positions:
    """Frames that CTC reads as the hypotheses: tokens of one frame or more, blanks between, and at the ends."""
    token, there = hypotheses.token, hypotheses.there
    n, n_places = token.shape
    again = torch.cat([torch.zeros(n, 1, dtype=torch.bool), token[:, 1:] == token[:, :-1]], 1)
    between = (draw.exponential(n, n_places) * 2 * draw.uniform(n, 1)).long().clamp(max=4).maximum(again.long())
    width = 1 + (draw.exponential(n, n_places) * draw.uniform(n, 1)).long().clamp(max=2)
    end = ((between + width) * there).cumsum(1)
    n_frames = (end[:, -1:] + (4 * draw.uniform(n, 1)).long()).clamp_min(1)
    frame = torch.arange(int(n_frames.max())).expand(n, -1)
    place = (frame[:, :, None] >= end[:, None, :]).sum(2).clamp(max=n_places - 1)  # of the next token to end
    in_token = (frame >= (end - width).gather(1, place)) & (frame < end.gather(1, place)) & there.gather(1, place)
    return _Positions(torch.where(in_token, token.gather(1, place), blank), frame < n_frames, place)


def _logits(references: _References, positions: _Positions, n_classes: int, draw: Draw) -> Tensor:
    """Logits (n, T, n_classes) whose largest is nearly always the token of the position.

    Close behind stand the reference's own token there, those beside it, and any other, each by a gap of its own; in
    frames of CTC the blank, too.
    """
    n, n_positions = positions.token.shape
    logits = draw.normal(n, n_positions, n_classes) * (0.3 + 1.2 * draw.uniform(n, 1, 1))
    sure = (0.5 + 6.0 * draw.uniform(n, 1)) * (0.3 + draw.exponential(n, n_positions)) + logits.amax(-1)
    gap = (0.3 + 3.0 * draw.uniform(n, 1)) * draw.exponential(n, n_positions)
    padded = torch.cat([references.tokens, draw.categorical(references.frequency, n, n_positions)], 1)
    spread = 0.2 + 2.0 * draw.uniform(n, 1)
    for shift in (0, 1, -1, 2, -2):
        beside = padded.gather(1, (positions.place + shift).clamp(0, padded.shape[1] - 1))
        height = sure - gap - spread * abs(shift) - draw.exponential(n, n_positions)
        _raise_to(logits, beside, height.masked_fill(draw.uniform(n, n_positions) > 0.6, -math.inf))
    others = [draw.categorical(references.frequency, n, n_positions)]
    if n_classes > len(references.frequency):
        others.append(torch.full_like(others[0], n_classes - 1))
    for other in others:
        height = sure - (0.3 + 3.0 * draw.uniform(n, 1)) * draw.exponential(n, n_positions)
        _raise_to(logits, other, height.masked_fill(draw.uniform(n, n_positions) > 0.6, -math.inf))
    _raise_to(logits, positions.token, sure)
    return logits * torch.exp(0.6 * draw.normal(n, 1, 1)).clamp(0.25, 4.0)


def _raise_to(logits: Tensor, token: Tensor, height: Tensor) -> None:
    """Lift the logit of `token` (n, T) to `height` (n, T) where it is lower."""
    logits.scatter_reduce_(-1, token[..., None], height[..., None], "amax")
