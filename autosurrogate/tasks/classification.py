"""Classification: one of C classes for each example."""

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
MIN_CLASSES, MAX_CLASSES = 2, 120


class Classification(Task):
    """preds: logits (n, C); target: class (n,), -100 is left out."""

    name = "classification"
    views: ClassVar[Mapping[str, Mapping[str, tuple[Any, Any]]]] = {
        "labels": {"sample": (int, int), "set": (np.ndarray, np.ndarray)},
        "probabilities": {"sample": (np.ndarray, int), "set": (np.ndarray, np.ndarray)},
    }

    def generate(self, severity: Tensor, generator: torch.Generator, set_size: int = 1) -> Examples:
        """Sets of logits whose error rate follows the severity, confidence being drawn apart from correctness.

        A set shares its error rate, its sharpness, the balance of its classes, how hard each class is, and how
        far behind the target falls when it is not first.
        """
        return _generate(severity, generator, set_size)

    def decode(self, examples: Examples, view: str) -> tuple[Any, Any]:
        """Arrays: the class of largest logit (n,), or the probabilities (n, C); and the classes (n,)."""
        preds = examples.preds.float()
        decoded = preds.argmax(-1) if view == "labels" else preds.softmax(-1)
        return decoded.cpu().numpy(), examples.target.long().cpu().numpy()

    def kept(self, examples: Examples) -> np.ndarray:
        """Which examples have a target."""
        return (examples.target.long() != IGNORE_INDEX).cpu().numpy()  # in uint8, -100 is class 156

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


def _generate(severity: Tensor, generator: torch.Generator, set_size: int) -> Examples:
    n_sets = severity.shape[0]

    def rand(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator)

    def randn(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    def log_uniform(low: float, high: float, *shape: int) -> Tensor:
        return (math.log(low) + (math.log(high) - math.log(low)) * rand(*shape)).exp()

    n_classes = int(log_uniform(MIN_CLASSES, MAX_CLASSES + 1, 1).item())
    prior = (log_uniform(0.1, 2.0, n_sets, 1) * randn(n_sets, n_classes)).softmax(-1)
    target = torch.multinomial(prior, set_size, replacement=True, generator=generator)

    # How many classes stand before the target: none with probability 1 - severity, modulated by the class.
    hardness = rand(n_sets, 1) * 2.0 * randn(n_sets, n_classes)
    error = torch.sigmoid(torch.logit(severity[:, None].clamp(1e-4, 1 - 1e-4)) + hardness.gather(1, target))
    behind = torch.floor(torch.log(rand(n_sets, set_size).clamp_min(1e-6)) / torch.log(rand(n_sets, 1) * 0.95 + 0.02))
    rank = torch.where(rand(n_sets, set_size) < error, 1 + behind, 0.0).clamp(max=n_classes - 1).long()

    # Logits of the others, in descending order; some sets have one strong competitor, some many.
    others = log_uniform(0.5, 2.0, n_sets, 1, 1) * randn(n_sets, set_size, n_classes - 1)
    others = others.sort(-1, descending=True).values
    boost = log_uniform(0.3, 6.0, n_sets, 1) * -torch.log(rand(n_sets, set_size).clamp_min(1e-6))
    others[..., 0] += boost * rand(n_sets, set_size)
    margin = log_uniform(0.3, 8.0, n_sets, 1) * -torch.log(rand(n_sets, set_size).clamp_min(1e-6))
    padded = torch.cat([others[..., :1] + 2 * margin[..., None], others, others[..., -1:] - margin[..., None]], -1)
    above = padded.gather(-1, rank[..., None])
    below = padded.gather(-1, rank[..., None] + 1)
    target_logit = below + (above - below) * (0.1 + 0.8 * rand(n_sets, set_size, 1))

    # Which class is which competitor: at random, or by a confusion that the whole set shares.
    order = rand(n_sets, set_size, n_classes)
    order += (
        rand(n_sets, 1, 1)
        * 2.0
        * rand(n_sets, n_classes, n_classes).gather(1, target[..., None].expand(-1, -1, n_classes))
    )
    order.scatter_(-1, target[..., None], -1.0)  # the target comes first
    classes = order.argsort(-1)
    logits = torch.empty(n_sets, set_size, n_classes)
    logits.scatter_(-1, classes, torch.cat([target_logit, others], -1))
    logits = logits * log_uniform(0.4, 3.0, n_sets, 1, 1) + randn(n_sets, set_size, 1)
    return Examples(logits.flatten(0, 1), target.flatten())


TASK = Classification()
