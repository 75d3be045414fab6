"""Ranking: lists of items that are sorted by score, the most relevant first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from autosurrogate.errors import OutputsError
from autosurrogate.examples import Examples
from autosurrogate.tasks import _regimes
from autosurrogate.tasks._base import Task, expect_dtype, expect_shape
from autosurrogate.tasks._draw import Draw
from autosurrogate.tasks._perturbations import reordered

PADDING = -1
MIN_LENGTH, MAX_LENGTH = 15, 60  # of the longest list of a call
MAX_LENGTH_OF_LONG = 200  # of one of twenty calls, if it has few lists: networks compare each item with each other
FEW_LISTS = 512
N_GRADES, N_GRADES_OF_MANY = 5, 11  # of a list; one of ten lists has many


class Ranking(Task):
    """preds: scores (n, L), larger is earlier; target: relevance (n, L), 0 or more, -1 pads. A list is an example."""

    name = "ranking"
    views: ClassVar[Mapping[str, Mapping[str, tuple[Any, Any]]]] = {
        "lists": {"sample": (np.ndarray, np.ndarray), "set": (list[np.ndarray], list[np.ndarray])},
    }
    argument_names = ("scores", "relevance")
    regimes = (_regimes.UNTRAINED, _regimes.COLLAPSED)
    padding: ClassVar[Mapping[str, tuple[float, tuple[int, ...]]]] = {"preds": (0, (0,)), "target": (PADDING, (0,))}

    def generate(self, severity: Tensor, generator: torch.Generator, set_size: int = 1, view: str = "") -> Examples:
        """Lists whose scores follow their relevance closely, not at all, or the wrong way round, by the severity.

        Each list draws its length, from 2 to 60 and sometimes to 200, its fraction of relevant items, and whether
        relevance has grades, to 4 or sometimes to 10, or is 0 or 1. The noise may be of any shape, and stronger at the
        top or at the bottom; some lists have single irrelevant items at the top, or relevant ones at the bottom. Scale,
        offset and skew of the scores are random.
        """
        return _generate(severity.repeat_interleave(set_size), Draw(generator))

    def in_regime(self, regime: str, examples: Examples, set_size: int, generator: torch.Generator) -> Examples:
        """Scores that are nearly equal, exactly tied, or in the order in which the items are given."""
        valid = examples.target >= 0
        changed = _in_regime(examples.preds, valid.float(), regime, set_size, Draw(generator))
        return examples.with_preds(torch.where(valid, changed, examples.preds))

    def decode(self, examples: Examples, view: str) -> tuple[Any, Any]:
        """Lists of arrays (length,), without padding: scores, and relevance as integers where it comes as such."""
        preds, target = examples.preds.float().cpu().numpy(), examples.target
        relevance = (target.float() if target.is_floating_point() else target.long()).cpu().numpy()
        valid = relevance >= 0
        return (
            [row[mask] for row, mask in zip(preds, valid, strict=True)],
            [row[mask] for row, mask in zip(relevance, valid, strict=True)],
        )

    def unit(self, examples: Examples) -> Tensor:
        """The standard deviation of each list's scores, (n, 1): the order of a list does not depend on their scale."""
        preds, (_, valid) = examples.preds.detach().float(), _relevance(examples)
        return _deviation(preds.masked_fill(~valid, 0.0), valid.float()).clamp_min(1e-3)

    def traits(self, examples: Examples, set_size: int) -> Mapping[str, Tensor]:
        """The sharpness of the scores of the items, without padding."""
        of_items = examples.preds.float().masked_fill(examples.target < 0, -torch.inf)
        return super().traits(examples.with_preds(of_items), set_size)

    def perturbations(self, examples: Examples, generator: torch.Generator) -> Mapping[str, Examples]:
        """Another order of the items, and another scale and zero of the scores."""
        valid = examples.target >= 0
        return {
            "the order in which items are given": reordered(examples, 1, generator),
            "the scale of the scores": examples.with_preds(torch.where(valid, 3 * examples.preds + 1, examples.preds)),
        }

    def regular_loss(self, examples: Examples) -> Tensor:
        """ListNet's (Cao et al., ICML 2007): cross-entropy of softmaxed scores with relevance, scaled to sum to 1.

        0 for a list without relevant items.
        """
        relevance, valid = _relevance(examples)
        log_fraction = examples.preds.float().masked_fill(~valid, -1e30).log_softmax(-1)
        per_item = (relevance * log_fraction.masked_fill(~valid, 0.0)).sum(-1)
        return -per_item / relevance.sum(-1).clamp_min(1e-6)

    def check(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Preds (n, L) floating point; target of the same shape, numbers of 0 or more, or -1."""
        preds, target = arrays["preds"], arrays["target"]
        expect_shape("preds", preds, "(n, n_items)", 2)
        expect_dtype("preds", preds, np.floating)
        expect_dtype("target", target, np.number)
        if target.shape != preds.shape:
            raise OutputsError(f"target must have the shape of preds {preds.shape}, got {target.shape}")
        wrong = ~((target >= 0) | (target == PADDING)) | ~np.isfinite(target)
        if wrong.any():
            row, column = np.argwhere(wrong)[0]
            raise OutputsError(
                f"target holds {target[row, column]} in row {row}, position {column}; expected a relevance of 0 or "
                f"more, or {PADDING} for padding"
            )


def _relevance(examples: Examples) -> tuple[Tensor, Tensor]:
    """Relevance in float32, 0 for padding, and which items are no padding, both shape (n, L)."""
    target = examples.target.float()
    return target.clamp_min(0), target >= 0


def _deviation(scores: Tensor, valid: Tensor) -> Tensor:
    """Standard deviation of each row's valid items, (n, 1); scores and `valid` (0 or 1) of shape (n, L)."""
    count = valid.sum(1, keepdim=True).clamp_min(1)
    mean = (scores * valid).sum(1, keepdim=True) / count
    return ((scores - mean).square() * valid).sum(1, keepdim=True).div(count).sqrt()


def _generate(severity: Tensor, draw: Draw) -> Examples:
    n_items = round(MIN_LENGTH + (MAX_LENGTH - MIN_LENGTH) * draw.uniform(1).item() ** 3)
    long, is_long = draw.log_uniform(MAX_LENGTH, MAX_LENGTH_OF_LONG, 1), draw.uniform(1).item() < 1 / 20
    if is_long and len(severity) <= FEW_LISTS:
        n_items = round(long.item())
    length = (2 + (n_items - 2) * draw.uniform(len(severity), 1) ** 0.5).round()
    valid = torch.arange(n_items) < length
    relevance = _graded(valid, draw)
    scores = _scores(relevance, valid.float(), severity[:, None], draw)
    return Examples(scores, relevance.masked_fill(~valid, PADDING))


def _graded(valid: Tensor, draw: Draw) -> Tensor:
    """Relevance of 0 to 4 or 10, or of 0 and 1, int64 (n, L): a relevant item in each list, and mostly another one."""
    n, n_items = valid.shape
    merit = draw.normal(n, n_items).masked_fill(~valid, -9.0)
    first = 0.3 + 1.3 * draw.normal(n, 1)  # merits above it are relevant
    steps = (0.2 + 1.2 * draw.uniform(n, 1)) * draw.exponential(n, N_GRADES_OF_MANY - 2)
    many = draw.uniform(n, 1) < 0.1
    more = torch.arange(N_GRADES_OF_MANY - 2) >= N_GRADES - 2
    steps = torch.where(many, steps / 3, torch.where(more | (draw.uniform(n, 1) < 0.4), 99.0, steps))
    limits = torch.cat([first, first + steps.cumsum(1)], 1)
    relevance = (merit[..., None] > limits[:, None]).sum(-1)
    best = merit.argmax(1, keepdim=True)
    relevance.scatter_(1, best, relevance.gather(1, best).clamp_min(1))
    worst = merit.masked_fill(~valid, 9.0).argmin(1, keepdim=True)
    spared = draw.uniform(n, 1) < 0.2
    relevance.scatter_(1, worst, torch.where(spared, relevance.gather(1, worst), 0))
    return relevance


def _scores(relevance: Tensor, valid: Tensor, severity: Tensor, draw: Draw) -> Tensor:
    """Scores of lists: relevance (n, L), `valid` (n, L) of 0 and 1, severity (n, 1)."""
    n, n_items = relevance.shape
    # How far apart the model sees the grades; equal grades differ by noise only.
    heights = (0.2 + draw.exponential(n, N_GRADES_OF_MANY)).cumsum(1)
    signal = _standardised(heights.gather(1, relevance), valid)
    noise = _noise(signal, valid, draw)
    angle = severity * torch.pi * (0.7 + 0.3 * draw.uniform(n, 1))
    scores = angle.cos() * signal + angle.sin() * noise

    # Some lists have single items far from where they belong.
    jumps = draw.uniform(n, n_items) < draw.uniform(n, 1) * 0.4 * severity * (draw.uniform(n, 1) < 0.4)
    away = torch.where(relevance > 0, -1.0, 1.0) * (0.5 + draw.exponential(n, n_items))
    only = torch.where(relevance > 0, draw.uniform(n, 1) < 0.6, draw.uniform(n, 1) < 0.6)
    scores = _standardised(scores + 2 * away * (jumps & only), valid)

    return _rescaled(scores, draw)


def _in_regime(scores: Tensor, valid: Tensor, regime: str, set_size: int, draw: Draw) -> Tensor:
    """Scores of points in a regime.

    - untrained: nearly equal, in the order of a trained model; in one of eight points many are exactly equal.
    - collapsed: all exactly equal, or of few values, or in the order in which the items are given.

    Args:
        scores: shape (n, L), of a trained model.
        valid: shape (n, L), 1 where there is an item, else 0.
        regime: "untrained" or "collapsed".
        set_size: lists of each point.
        draw: source of randomness.
    """
    n, n_items = scores.shape
    n_points = n // set_size
    kind, scale, step, offset = (
        values.repeat_interleave(set_size, 0)
        for values in (
            draw.uniform(n_points, 1),
            draw.log_uniform(_regimes.MIN_SPREAD, _regimes.MAX_SPREAD, n_points, 1),
            draw.log_uniform(0.3, 3.0, n_points, 1),
            0.3 * draw.normal(n_points, 1),
        )
    )
    standardised = _standardised(scores, valid)
    tied = (standardised / step).round() * step
    if regime == _regimes.UNTRAINED:
        return offset + scale * torch.where(kind < 1 / 8, tied, standardised)
    as_given = -torch.arange(n_items) / n_items
    changed = torch.where(kind < 0.7, torch.where(kind < 0.55, as_given, -as_given), tied)
    return offset + scale * torch.where(kind < 0.4, 0.0, changed)


def _rescaled(scores: Tensor, draw: Draw) -> Tensor:
    """Standardised scores (n, L) in the same order, but of another skew, scale and offset; rarely with ties."""
    n = len(scores)
    bend = 0.05 + 1.2 * draw.uniform(n, 1)
    kind = draw.uniform(n, 1)
    # A few far above the rest, a few far below, or crowded at both ends.
    bent = torch.where(kind < 0.6, (bend * scores).clamp(max=9).expm1(), -(-bend * scores).clamp(max=9).expm1())
    bent = torch.where(kind < 0.8, bent, (bend * scores).tanh()) / bend
    bent = torch.where(draw.uniform(n, 1) < 0.04, (3 * bent).round() / 3, bent)
    return draw.log_uniform(0.05, 8.0, n, 1) * (bent + draw.normal(n, 1) * draw.log_uniform(0.1, 5.0, n, 1))


def _noise(signal: Tensor, valid: Tensor, draw: Draw) -> Tensor:
    """Standardised noise (n, L) of a shape drawn for each list, perhaps stronger for items of high or low signal."""
    n, n_items = signal.shape
    normal = draw.normal(n, n_items)
    heavy = normal * (0.8 * draw.normal(n, n_items)).exp()
    skewed = (draw.exponential(n, n_items) - 1) * torch.where(draw.uniform(n, 1) < 0.5, 1.0, -1.0)
    kind = draw.uniform(n, 1)
    noise = torch.where(kind < 0.4, normal, torch.where(kind < 0.7, heavy, skewed))
    return _standardised(noise * (0.6 * draw.normal(n, 1) * signal).clamp(-3, 3).exp(), valid)


def _standardised(scores: Tensor, valid: Tensor) -> Tensor:
    """Rows of mean 0 and deviation 1 over their valid items, 0 elsewhere; constant rows are 0."""
    mean = (scores * valid).sum(1, keepdim=True) / valid.sum(1, keepdim=True).clamp_min(1)
    return (scores - mean) * valid / _deviation(scores, valid).clamp_min(1e-6)


TASK = Ranking()
