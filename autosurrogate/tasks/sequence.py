"""Sequences of tokens: a hypothesis of T positions for a reference of S tokens, lengths apart."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from autosurrogate.errors import OutputsError
from autosurrogate.examples import Examples
from autosurrogate.tasks._base import Task, expect_dtype, expect_shape
from autosurrogate.tasks._draw import Draw

IGNORE_INDEX = -100
MIN_VOCABULARY, MAX_VOCABULARY = 16, 128
MIN_LENGTH, MAX_LENGTH = 6, 28


class SequenceTask(Task):
    """preds: logits (n, T, V); target: token (n, S), -100 pads; preds_mask: bool (n, T), the hypothesis's positions."""

    name = "sequence"
    views: ClassVar[Mapping[str, Mapping[str, tuple[Any, Any]]]] = {
        "text": {"sample": (str, str), "set": (list[str], list[str])},
        "tokens": {"sample": (list[int], list[int]), "set": (list[list[int]], list[list[int]])},
    }
    arguments = ("logits", "tokens")
    extras = ("preds_mask",)
    fill: ClassVar[Mapping[str, tuple[float, tuple[int, ...]]]] = {
        "preds": (0, (0,)),
        "target": (IGNORE_INDEX, (0,)),
        "preds_mask": (False, (0,)),
    }

    def generate(self, severity: Tensor, generator: torch.Generator, set_size: int = 1, view: str = "") -> Examples:
        """Hypotheses made from their references by edits, and logits that are more or less sure of them.

        Substitutions, omissions, repetitions, insertions, swaps, moved blocks and cut ends, in proportions drawn
        for each example; the number of edits follows the severity.
        """
        return _generate(severity.repeat_interleave(set_size), Draw(generator))

    def decode(self, examples: Examples, view: str) -> tuple[Any, Any]:
        """Lists of tokens, or their numbers joined by spaces, without padding."""
        best = examples.preds.argmax(-1).cpu().numpy()
        target = examples.target.cpu().numpy()
        mask = examples.extras.get("preds_mask")
        if mask is not None:
            keep = mask.cpu().numpy()
        elif best.shape[1] == target.shape[1]:
            keep = target != IGNORE_INDEX
        else:
            keep = np.ones(best.shape, dtype=bool)
        hypotheses = [row[kept].tolist() for row, kept in zip(best, keep, strict=True)]
        references = [row[row != IGNORE_INDEX].tolist() for row in target]
        if view == "tokens":
            return hypotheses, references
        return [" ".join(map(str, row)) for row in hypotheses], [" ".join(map(str, row)) for row in references]

    def regular_loss(self, examples: Examples) -> Tensor:
        """Cross-entropy, the mean over the positions that hypothesis and reference both have."""
        n_common = min(examples.preds.shape[1], examples.target.shape[1])
        target = examples.target[:, :n_common].long()
        mask = examples.extras.get("preds_mask")
        if mask is not None:
            target = target.masked_fill(~mask[:, :n_common], IGNORE_INDEX)
        per_token = F.cross_entropy(
            examples.preds[:, :n_common].float().transpose(1, 2), target, reduction="none", ignore_index=IGNORE_INDEX
        )
        return per_token.sum(-1) / (target != IGNORE_INDEX).sum(-1).clamp_min(1)

    def check(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Preds (n, T, V) floating point; target (n, S) integer in [0, V) or -100; preds_mask (n, T) bool."""
        preds, target = arrays["preds"], arrays["target"]
        expect_shape("preds", preds, "(n, n_positions, vocabulary)", 3)
        expect_shape("target", target, "(n, n_tokens)", 2)
        expect_dtype("preds", preds, np.floating)
        expect_dtype("target", target, np.integer)
        vocabulary = preds.shape[2]
        wrong = (target != IGNORE_INDEX) & ((target < 0) | (target >= vocabulary))
        if wrong.any():
            row, column = np.argwhere(wrong)[0]
            raise OutputsError(
                f"target holds {target[row, column]} in row {row}, position {column}; expected 0 to {vocabulary - 1}, "
                f"or {IGNORE_INDEX} for padding"
            )
        if "preds_mask" in arrays:
            mask = arrays["preds_mask"]
            if mask.shape != preds.shape[:2]:
                raise OutputsError(
                    f"preds_mask must have the shape of preds' first axes {preds.shape[:2]}, got {mask.shape}"
                )
            expect_dtype("preds_mask", mask, np.bool_)


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


def _generate(severity: Tensor, draw: Draw) -> Examples:
    references = _references(severity.shape[0], draw)
    hypothesis, keep = _hypotheses(references, severity, draw)
    logits = _logits(references, hypothesis, draw)
    return Examples(logits, references.tokens.masked_fill(~references.real, IGNORE_INDEX), {"preds_mask": keep})


def _references(n: int, draw: Draw) -> _References:
    vocabulary = round(draw.log_uniform(MIN_VOCABULARY, MAX_VOCABULARY).item())
    n_tokens = round(draw.log_uniform(MIN_LENGTH, MAX_LENGTH).item())
    zipf = torch.arange(1, vocabulary + 1, dtype=torch.float32) ** -(0.3 + 0.9 * draw.uniform(1))
    frequency = zipf[torch.randperm(vocabulary, generator=draw.generator)]
    tokens = draw.categorical(frequency, n, n_tokens)
    length = (1 + (n_tokens - 1) * draw.uniform(n, 1) ** 0.5).round().long()
    return _References(tokens, length, torch.arange(n_tokens) < length, frequency)


def _hypotheses(references: _References, severity: Tensor, draw: Draw) -> tuple[Tensor, Tensor]:
    """Edited references: tokens (n, n_positions), and which positions belong to the hypothesis."""
    n, n_tokens = references.tokens.shape
    tokens, keys, here = _edited(references, severity, draw)
    told_length = draw.uniform(1).item() < 0.5  # as many positions as the reference, as a model that is told the length
    n_positions = n_tokens if told_length else max(2, int(n_tokens * (0.7 + 0.7 * draw.uniform(1).item())))
    order = keys.masked_fill(~here, math.inf).argsort(1)[:, :n_positions]
    hypothesis, keep = tokens.gather(1, order), here.gather(1, order)
    if not told_length:
        return hypothesis, keep
    # The positions left over at the end are filled with repeats or any token.
    one_token = draw.uniform(n, 1) < 0.5
    filler = torch.where(one_token, hypothesis[:, :1], draw.categorical(references.frequency, n, n_positions))
    last = hypothesis.gather(1, (keep.sum(1, keepdim=True) - 1).clamp_min(0))
    filler = torch.where(draw.uniform(n, n_positions) < 0.5, last, filler)
    return torch.where(keep, hypothesis, filler), torch.arange(n_positions) < references.length


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


def _logits(references: _References, hypothesis: Tensor, draw: Draw) -> Tensor:
    """Logits (n, n_positions, vocabulary) whose largest is nearly always the hypothesis's token.

    Close behind stand the reference's own token there, those beside it, and any other, each by a gap of its own.
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
    absent = draw.uniform(n, n_positions) > 0.6
    height = sure - (0.3 + 3.0 * draw.uniform(n, 1)) * draw.exponential(n, n_positions)
    height = height.masked_fill(absent, -math.inf)
    _raise_to(logits, draw.categorical(references.frequency, n, n_positions), height)
    _raise_to(logits, hypothesis, sure)
    return logits * torch.exp(0.6 * draw.normal(n, 1, 1)).clamp(0.25, 4.0)


def _raise_to(logits: Tensor, token: Tensor, height: Tensor) -> None:
    """Lift the logit of `token` (n, T) to `height` (n, T) where it is lower."""
    logits.scatter_reduce_(-1, token[..., None], height[..., None], "amax")


TASK = SequenceTask()
