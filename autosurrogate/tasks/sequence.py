"""Sequences of tokens: a hypothesis of T positions for a reference of S tokens, lengths apart."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from autosurrogate.errors import OutputsError
from autosurrogate.examples import Examples
from autosurrogate.tasks._base import Task, expect_dtype, expect_shape

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
    extras = ("preds_mask",)

    def generate(self, severity: Tensor, generator: torch.Generator, set_size: int = 1) -> Examples:
        """Hypotheses made from their references by edits, and logits that are more or less sure of them.

        Substitutions, omissions, repetitions, insertions, swaps, moved blocks and cut ends, in proportions drawn
        for each example; the number of edits follows the severity.
        """
        return _generate(severity.repeat_interleave(set_size), generator)

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


def _generate(severity: Tensor, generator: torch.Generator) -> Examples:
    n = severity.shape[0]

    def rand(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator)

    def randn(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    def exponential(*shape: int) -> Tensor:
        return -torch.log(rand(*shape).clamp_min(1e-6))

    def integer(low: float, high: float) -> int:  # log-uniform
        return round(math.exp(math.log(low) + (math.log(high) - math.log(low)) * rand(1).item()))

    vocabulary = integer(MIN_VOCABULARY, MAX_VOCABULARY)
    n_tokens = integer(MIN_LENGTH, MAX_LENGTH)
    zipf = torch.arange(1, vocabulary + 1, dtype=torch.float32) ** -(0.3 + 0.9 * rand(1))
    frequency = zipf[torch.randperm(vocabulary, generator=generator)]

    def draw_tokens(*shape: int) -> Tensor:
        drawn = torch.multinomial(frequency, math.prod(shape), replacement=True, generator=generator)
        return drawn.view(shape)

    # References of their own lengths.
    reference = draw_tokens(n, n_tokens)
    length = (1 + (n_tokens - 1) * rand(n) ** 0.5).round().long()
    position = torch.arange(n_tokens).expand(n, -1)
    real = position < length[:, None]

    # Edits of each kind, in proportions drawn for each example; sharp proportions: mostly one or two kinds.
    share = (2.0 * randn(n, 7)).softmax(-1)[:, :, None] * (severity * 1.8)[:, None, None]
    substitute, omit, repeat, insert, swap, move, cut = share.unbind(1)
    token = torch.where(rand(n, n_tokens) < substitute, draw_tokens(n, n_tokens), reference)
    from_reference = reference.gather(1, (rand(n, n_tokens) * length[:, None]).long())  # tokens that stand elsewhere
    token = torch.where(rand(n, n_tokens) < 0.3 * substitute, from_reference, token)
    omitted = rand(n, n_tokens) < omit
    omitted |= position >= length[:, None] * (1 - cut * rand(n, 1))
    key = position + 2.5 * (rand(n, n_tokens) - 0.5) * (rand(n, n_tokens) < 2 * swap)
    start = (rand(n, 1) * length[:, None]).floor()
    n_moved = (rand(n, 1) * length[:, None] * 0.7 + 1).floor()
    moved = (position >= start) & (position < start + n_moved) & (rand(n, 1) < 2 * move)
    key = torch.where(moved, key + (rand(n, 1) * 2 - 1) * length[:, None], key)

    # Each reference position yields itself, perhaps itself again, perhaps another token; sorting lines them up.
    tokens = torch.cat(
        [token, token, torch.where(rand(n, n_tokens) < 0.5, from_reference, draw_tokens(n, n_tokens))], 1
    )
    keys = torch.cat([key, key + 0.01, key + 0.02], 1)
    here = torch.cat([~omitted, ~omitted & (rand(n, n_tokens) < repeat), rand(n, n_tokens) < insert], 1)
    here &= real.repeat(1, 3)
    if rand(1).item() < 0.5:  # as many positions as the reference has, as a model that is told the length
        n_positions = n_tokens
        limit = length[:, None]
    else:
        n_positions = max(2, int(n_tokens * (0.7 + 0.7 * rand(1).item())))
        limit = torch.full((n, 1), n_positions)
    order = keys.masked_fill(~here, math.inf).argsort(1)[:, :n_positions]
    hypothesis = tokens.gather(1, order)
    keep = here.gather(1, order)
    if n_positions == n_tokens:  # the positions left over at the end are filled with repeats or any token
        filler = torch.where(rand(n, 1) < 0.5, tokens.gather(1, order[:, :1]), draw_tokens(n, n_positions))
        last = hypothesis.gather(1, (keep.sum(1, keepdim=True) - 1).clamp_min(0))
        filler = torch.where(rand(n, n_positions) < 0.5, last, filler)
        hypothesis = torch.where(keep, hypothesis, filler)
        keep = torch.ones_like(keep)
    keep &= torch.arange(n_positions) < limit

    # Logits: noise, the chosen token above all, and others close behind: the reference's own token at that place,
    # those beside it, and any other, each by a gap of its own.
    logits = randn(n, n_positions, vocabulary) * (0.3 + 1.2 * rand(n, 1, 1))
    sure = (0.5 + 6.0 * rand(n, 1)) * (0.3 + exponential(n, n_positions)) + logits.amax(-1)
    gap = (0.3 + 3.0 * rand(n, 1)) * exponential(n, n_positions)
    padded = torch.cat([reference, draw_tokens(n, n_positions)], 1)
    spread = 0.2 + 2.0 * rand(n, 1)
    for shift in (0, 1, -1, 2, -2):
        beside = padded.gather(1, (torch.arange(n_positions) + shift).clamp_min(0).expand(n, -1))
        height = sure - gap - spread * abs(shift) - exponential(n, n_positions)
        height = torch.where(rand(n, n_positions) < 0.6, height, -math.inf)
        _raise_to(logits, beside, height)
    height = torch.where(
        rand(n, n_positions) < 0.6, sure - (0.3 + 3.0 * rand(n, 1)) * exponential(n, n_positions), -math.inf
    )
    _raise_to(logits, draw_tokens(n, n_positions), height)
    _raise_to(logits, hypothesis, sure)
    logits = logits * torch.exp(0.6 * randn(n, 1, 1)).clamp(0.25, 4.0)
    return Examples(logits, reference.masked_fill(~real, IGNORE_INDEX), {"preds_mask": keep})


def _raise_to(logits: Tensor, token: Tensor, height: Tensor) -> None:
    """Lift the logit of `token` (n, T) to `height` (n, T) where it is lower."""
    logits.scatter_reduce_(-1, token[..., None], height[..., None], "amax")


TASK = SequenceTask()
