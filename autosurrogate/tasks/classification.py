"""Classification: one of C classes for each example."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from autosurrogate.errors import OutputsError
from autosurrogate.examples import Examples
from autosurrogate.tasks import _regimes
from autosurrogate.tasks._base import Task, expect_dtype, expect_shape
from autosurrogate.tasks._draw import Draw
from autosurrogate.tasks._perturbations import WHICH_CLASS, renumbered

IGNORE_INDEX = -100
MIN_CLASSES, MAX_CLASSES = 2, 120
FRACTION_OF_MANY = 0.02  # of the calls; their examples have between `MAX_CLASSES` and `MOST_CLASSES` classes
MOST_CLASSES, MOST_LOGITS = 1000, 4_000_000  # of an example and of a call


class Classification(Task):
    """preds: logits (n, C); target: class (n,), -100 is left out."""

    name = "classification"
    argument_names = ("logits", "classes")
    regimes = (_regimes.UNTRAINED, _regimes.COLLAPSED, _regimes.SATURATED)
    views: ClassVar[Mapping[str, Mapping[str, tuple[Any, Any]]]] = {
        "labels": {"sample": (int, int), "set": (np.ndarray, np.ndarray)},
        "probabilities": {"sample": (np.ndarray, int), "set": (np.ndarray, np.ndarray)},
    }

    def generate(self, severity: Tensor, generator: torch.Generator, set_size: int = 1, view: str = "") -> Examples:
        """Sets of logits whose error rate follows the severity; confidence is independent of correctness.

        A set shares its error rate, its sharpness, the balance of its classes, how hard each class is, and how
        far behind the target falls when it is not first.
        """
        return _generate(severity, Draw(generator), set_size)

    def in_regime(self, regime: str, examples: Examples, set_size: int, generator: torch.Generator) -> Examples:
        """Logits of untrained, collapsed and saturated models."""
        logits = examples.preds.view(-1, set_size, examples.preds.shape[1])
        return examples.with_preds(_regimes.of_logits(logits, regime, Draw(generator)).flatten(0, 1))

    def decode(self, examples: Examples, view: str) -> tuple[Any, Any]:
        """Arrays: the class of largest logit (n,), or the probabilities (n, C); and the classes (n,)."""
        preds = examples.preds.float()
        decoded = preds.argmax(-1) if view == "labels" else preds.softmax(-1)
        return decoded.cpu().numpy(), examples.target.long().cpu().numpy()

    def has_target(self, examples: Examples) -> np.ndarray:
        """Which examples have a target."""
        return (examples.target.long() != IGNORE_INDEX).cpu().numpy()  # in uint8, -100 is class 156

    def perturbations(self, examples: Examples, generator: torch.Generator) -> Mapping[str, Examples]:
        """Other numbers for the classes."""
        return {WHICH_CLASS: renumbered(examples, 1, generator)}

    def regular_loss(self, examples: Examples) -> Tensor:
        """Cross-entropy; 0 where there is no target."""
        return F.cross_entropy(
            examples.preds.float(), examples.target.long(), reduction="none", ignore_index=IGNORE_INDEX
        )

    def check(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Preds (n, C) floating point with C >= 2; target (n,) integer in [0, C) or -100."""
        preds, target = arrays["preds"], arrays["target"]
        expect_shape("preds", preds, "(n, n_classes)", 2)
        expect_shape("target", target, "(n,)", 1)
        expect_dtype("preds", preds, np.floating)
        expect_dtype("target", target, np.integer)
        n_classes = preds.shape[1]
        if n_classes < 2:
            raise OutputsError(f"preds has {n_classes} class; classification needs logits of 2 classes or more")
        wrong = (target != IGNORE_INDEX) & ((target < 0) | (target >= n_classes))
        if wrong.any():
            row = int(wrong.argmax())
            raise OutputsError(
                f"target holds {target[row]} in row {row}; expected 0 to {n_classes - 1}, or {IGNORE_INDEX} for none"
            )


def _generate(severity: Tensor, draw: Draw, set_size: int) -> Examples:
    n_sets = severity.shape[0]
    n_classes = _draw_n_classes(n_sets * set_size, draw)
    prior = (draw.log_uniform(0.1, 2.0, n_sets, 1) * draw.normal(n_sets, n_classes)).softmax(-1)
    target = torch.multinomial(prior, set_size, replacement=True, generator=draw.generator)

    # How many classes stand before the target: none with probability 1 - severity, modulated by the class.
    hardness = draw.uniform(n_sets, 1) * 2.0 * draw.normal(n_sets, n_classes)
    error = torch.sigmoid(torch.logit(severity[:, None].clamp(1e-4, 1 - 1e-4)) + hardness.gather(1, target))
    # How far behind, on average: between 0.3 and three times the classes, by its logarithm, further with the severity.
    far = (0.8 * severity[:, None] + 0.4 * draw.uniform(n_sets, 1) - 0.1).clamp(0, 1)
    behind = torch.floor(draw.exponential(n_sets, set_size) * 0.3 * (10 * n_classes) ** far)
    rank = torch.where(draw.uniform(n_sets, set_size) < error, 1 + behind, 0.0).clamp(max=n_classes - 1).long()

    target_logit, others = _ranked_logits(rank, n_classes, draw)
    logits = torch.empty(n_sets, set_size, n_classes)
    logits.scatter_(-1, _order(target, n_classes, draw), torch.cat([target_logit, others], -1))
    logits = logits * draw.log_uniform(0.4, 3.0, n_sets, 1, 1) + draw.normal(n_sets, set_size, 1)
    return Examples(logits.flatten(0, 1), target.flatten())


def _draw_n_classes(n_examples: int, draw: Draw) -> int:
    if draw.uniform(1).item() >= FRACTION_OF_MANY:
        return int(draw.log_uniform(MIN_CLASSES, MAX_CLASSES + 1, 1).item())
    most = max(MAX_CLASSES, min(MOST_CLASSES, MOST_LOGITS // n_examples))
    return int(draw.log_uniform(MAX_CLASSES, most + 1, 1).item())


def _ranked_logits(rank: Tensor, n_classes: int, draw: Draw) -> tuple[Tensor, Tensor]:
    """The target's logit (n_sets, set_size, 1), and those of the others in descending order, `rank` of them above it.

    Some sets have one strong competitor, some many.
    """
    n_sets, set_size = rank.shape
    others = draw.log_uniform(0.5, 2.0, n_sets, 1, 1) * draw.normal(n_sets, set_size, n_classes - 1)
    others = others.sort(-1, descending=True).values
    boost = draw.log_uniform(0.3, 6.0, n_sets, 1) * draw.exponential(n_sets, set_size)
    others[..., 0] += boost * draw.uniform(n_sets, set_size)
    margin = draw.log_uniform(0.3, 8.0, n_sets, 1) * draw.exponential(n_sets, set_size)
    padded = torch.cat([others[..., :1] + 2 * margin[..., None], others, others[..., -1:] - margin[..., None]], -1)
    above = padded.gather(-1, rank[..., None])
    below = padded.gather(-1, rank[..., None] + 1)
    return below + (above - below) * (0.1 + 0.8 * draw.uniform(n_sets, set_size, 1)), others


def _order(target: Tensor, n_classes: int, draw: Draw) -> Tensor:
    """Which class is which competitor, the target first: at random, or by a confusion that the whole set shares."""
    n_sets, set_size = target.shape
    order = draw.uniform(n_sets, set_size, n_classes)
    strength = draw.uniform(n_sets, 1, 1) * 2.0
    if n_classes <= MAX_CLASSES:
        confusion = draw.uniform(n_sets, n_classes, n_classes)
        order += strength * confusion.gather(1, target[..., None].expand(-1, -1, n_classes))
    else:  # without a table of all pairs of classes
        of_target, of_competitor = draw.uniform(n_sets, n_classes).gather(1, target), draw.uniform(n_sets, 1, n_classes)
        order += strength * (of_target[..., None] + of_competitor).frac()
    return order.scatter_(-1, target[..., None], -1.0).argsort(-1)


TASK = Classification()
