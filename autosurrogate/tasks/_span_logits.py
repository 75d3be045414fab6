"""The random generator of spans: targets, how predictions miss them, and logits that predict so."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from autosurrogate.examples import Examples
from autosurrogate.tasks import _regimes
from autosurrogate.tasks._draw import Draw

MIN_LENGTH, MAX_LENGTH = 8, 48
WHOLE = 0.03  # fraction of the passages that are asked for as a whole
PREDICTED_WHOLE, PREDICTED_SINGLE = 0.1, 0.1  # fractions of the spans elsewhere: the whole passage, one position


@dataclass(frozen=True)
class _Passages:
    """n passages with the span that is asked for; positions, inclusive.

    Args:
        low: the first that is not masked, shape (n,).
        high: the last that is not masked, shape (n,).
        target: first and last, shape (n, 2).
    """

    low: Tensor
    high: Tensor
    target: Tensor


def generate(severity: Tensor, draw: Draw, set_size: int) -> Examples:
    """Examples of one number of positions, point by point.

    The examples of a point are as if of one model: they share the kinds of their errors and how sure their logits are.

    Args:
        severity: shape (n_points,).
        draw: source of all randomness.
        set_size: examples a point.
    """
    n_positions = round(draw.log_uniform(MIN_LENGTH, MAX_LENGTH, 1).item())
    passages = _passages(len(severity) * set_size, n_positions, draw)
    spans = _missed(passages, severity, draw, set_size)
    logits = _logits(passages, spans, n_positions, draw, set_size)
    sure = draw.log_uniform(0.1, 4.0, len(severity), 1, 1).repeat_interleave(set_size, 0)
    position = torch.arange(n_positions)
    masked = (position < passages.low[:, None]) | (position > passages.high[:, None])
    preds = (logits * sure + draw.normal(len(logits), 2, 1)).masked_fill(masked[:, None], -math.inf)
    return Examples(preds, passages.target)


def in_regime(preds: Tensor, regime: str, draw: Draw, set_size: int) -> Tensor:
    """Logits of a trained model, changed to a regime of `_regimes`; masked positions stay so.

    Untrained models prefer starts and ends of their own, of a set or of each example; collapsed ones a span.

    Args:
        preds: shape (n, 2, n_positions), point by point.
        regime: one of `_regimes.REGIMES`.
        draw: source of randomness.
        set_size: examples a point.
    """
    valid = preds.isfinite()
    logits = preds.masked_fill(~valid, 0.0)
    logits = logits - logits.sum(2, keepdim=True) / valid.sum(2, keepdim=True).clamp_min(1)
    logits = logits.masked_fill(~valid, -math.inf).view(len(preds) // set_size, set_size, 2, -1)
    if regime == _regimes.COLLAPSED:
        changed = torch.stack([_regimes.of_logits(logits[:, :, end], regime, draw) for end in (0, 1)], 2)
    else:
        logits = logits.flatten(2)
        logits = _regimes.with_noise(logits, draw) if regime == _regimes.UNTRAINED else logits
        changed = _regimes.of_logits(logits, regime, draw)
    return changed.view_as(preds)


def _passages(n: int, n_positions: int, draw: Draw) -> _Passages:
    """In half of the batches a question stands before, masked; in half of them passages are of different lengths."""
    before = 0.4 * n_positions * draw.uniform(1) * (draw.uniform(1) < 0.5)
    after = 0.5 * n_positions * draw.uniform(n) * (draw.uniform(1) < 0.5)
    low = (before * (0.6 + 0.4 * draw.uniform(n))).floor()
    high = (n_positions - 1 - after).ceil()
    room = high - low + 1
    short = 1 + (draw.exponential(n) * (0.5 + 2.5 * draw.uniform(n))).floor()
    long = (room * draw.uniform(n)).floor() + 1
    length = torch.minimum(torch.where(draw.uniform(n) < 0.8, short, long), room)
    length = torch.where(draw.uniform(n) < WHOLE, room, length)
    start = low + ((room - length + 1) * draw.uniform(n)).floor()
    return _Passages(low.long(), high.long(), torch.stack([start, start + length - 1], 1).long())


def _missed(passages: _Passages, severity: Tensor, draw: Draw, set_size: int) -> Tensor:
    """Predicted spans (n, 2): the target's or, more often with the severity, others.

    Both ends are off by a little, one alone is, the span is cut or stretched, or it is elsewhere: also
    one position, or the whole passage.
    """
    n_points, n = len(severity), len(passages.low)
    target = passages.target
    length = (target[:, 1] - target[:, 0] + 1)[:, None]
    room = (passages.high - passages.low + 1)[:, None]

    off = (1 + draw.exponential(n, 2) * (0.3 + 0.5 * draw.uniform(n, 1) * length)).floor()
    off = off * torch.where(draw.uniform(n, 2) < 0.5, -1, 1)
    right_end = F.one_hot((draw.uniform(n) * 3).long(), 3)[:, :2]  # the start, the end, or neither
    shifted = target + (off * (1 - right_end)).long()
    cut = target[:, :1] + (length * draw.uniform(n, 2)).long()
    more = (room * draw.uniform(n, 2) ** (1 + 3 * draw.uniform(n, 1))).long()
    stretched = target + more * torch.tensor([-1, 1])
    place = passages.low[:, None] + (room * draw.uniform(n, 1)).long()
    own_length = 1 + (draw.exponential(n, 1) * 3).long()
    elsewhere = torch.cat([place, place + torch.where(draw.uniform(n, 1) < 0.5, length, own_length) - 1], 1)
    extreme = draw.uniform(n, 1)
    elsewhere = torch.where(extreme < PREDICTED_SINGLE, place, elsewhere)
    whole = torch.stack([passages.low, passages.high], 1)
    elsewhere = torch.where(extreme > 1 - PREDICTED_WHOLE, whole, elsewhere)

    right = (1 - severity) ** draw.log_uniform(1.2, 4.0, n_points)
    wrong = severity ** draw.log_uniform(1.2, 4.0, n_points)
    kinds = (1.5 * draw.normal(n_points, 3)).softmax(1) * (1 - right - wrong).clamp_min(0)[:, None]
    shares = torch.cat([right[:, None], kinds, wrong[:, None]], 1)
    kind = torch.multinomial(shares, set_size, replacement=True, generator=draw.generator).view(n, 1, 1)
    spans = torch.stack([target, shifted, cut, stretched, elsewhere], 1)
    spans = spans.gather(1, kind.expand(-1, 1, 2)).squeeze(1)
    return torch.minimum(torch.maximum(spans, passages.low[:, None]), passages.high[:, None]).sort(1).values


def _logits(passages: _Passages, spans: Tensor, n_positions: int, draw: Draw, set_size: int) -> Tensor:
    """Logits (n, 2, n_positions) of which the given spans (n, 2) are mostly the best.

    Close behind stand the target's own ends, the positions beside, other spans and single positions, each by a gap of
    its own. A few of them are even higher: an end before the start, or a start behind the end.
    """
    n = len(spans)

    def of_point(low: float, high: float) -> Tensor:
        return draw.log_uniform(low, high, n // set_size, 1).repeat_interleave(set_size, 0)

    def gap() -> Tensor:
        return spread * draw.exponential(n, 2)

    logits = draw.normal(n, 2, n_positions) * of_point(0.2, 1.0)[..., None]
    top = logits.amax(2) + of_point(0.3, 3.0) * (0.2 + draw.exponential(n, 1)) * (0.3 + draw.exponential(n, 2))
    spread = of_point(0.3, 3.0) * draw.log_uniform(0.4, 2.0, n, 1)
    low, high = passages.low[:, None], passages.high[:, None]

    _raise_to(logits, passages.target, top - gap(), draw.uniform(n, 1) < of_point(0.4, 1.0))
    for peak in (spans, passages.target):
        for shift in (-1, 1, -2, 2):
            height = top - gap() - 0.3 * abs(shift) * spread
            _raise_to(logits, (peak + shift).clamp(0, n_positions - 1), height, draw.uniform(n, 2) < 0.5)
    for _ in range(2):
        other = low + ((high - low + 1) * draw.uniform(n, 2)).long()
        other[:, 1] = torch.where(draw.uniform(n) < 0.6, other[:, 0] + (3 * draw.exponential(n)).long(), other[:, 1])
        _raise_to(logits, torch.minimum(other, high), top - gap(), draw.uniform(n, 1) < 0.6)
    beyond = spans.flip(1) + (1 + (4 * draw.exponential(n, 2)).long()) * torch.tensor([1, -1])
    beyond = torch.minimum(torch.maximum(beyond, low), high)
    _raise_to(logits, beyond, top + gap() - gap(), draw.uniform(n, 2) < 0.04)
    _raise_to(logits, spans, top, torch.ones(n, 1, dtype=torch.bool))
    return logits


def _raise_to(logits: Tensor, position: Tensor, height: Tensor, where: Tensor) -> None:
    """Lift the logits of start and end positions (n, 2) to `height` (n, 2) where they are lower and `where` is true."""
    logits.scatter_reduce_(2, position[..., None], height.masked_fill(~where, -math.inf)[..., None], "amax")
