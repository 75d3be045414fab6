"""Scores: a logit for each example, or for each label of each example, which should be larger where the target is 1."""

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
from autosurrogate.tasks._base import Task, expect_dtype
from autosurrogate.tasks._draw import Draw
from autosurrogate.tasks._perturbations import HOW_SURE, reordered

MIN_LABELS, MAX_LABELS = 2, 20
MOST_LOGITS = 2048  # of a set with labels
MIN_PREVALENCE, MAX_PREVALENCE = 0.01, 0.6
MIN_PREVALENCE_OF_LARGE = 0.002  # of sets in which a positive or more is then expected


class Scores(Task):
    """preds: logits (n,), or (n, K) for K labels; target: 0 or 1, of the same shape."""

    name = "scores"
    argument_names = ("logits", "labels")
    regimes = (_regimes.UNTRAINED, _regimes.COLLAPSED)
    views: ClassVar[Mapping[str, Mapping[str, tuple[Any, Any]]]] = {
        "binary": {"set": (np.ndarray, np.ndarray)},
        "multilabel": {"sample": (np.ndarray, np.ndarray), "set": (np.ndarray, np.ndarray)},
    }

    def generate(self, severity: Tensor, generator: torch.Generator, set_size: int = 1, view: str = "") -> Examples:
        """Logits of two overlapping classes, separated at 0 by a threshold that is more or less well chosen.

        Each set has its own random prevalence, shapes of both classes, overlap, threshold and spread of the logits.
        With labels, the prevalence and the severity of each are near those of the set; a set of a single example is
        generated as if its labels were the examples of a set.
        """
        draw = Draw(generator)
        if view != "multilabel":
            preds, target = _generate(severity[:, None], set_size, draw)
            return Examples(preds.flatten(), target.flatten())
        most = min(MAX_LABELS, max(MIN_LABELS, MOST_LOGITS // set_size))
        n_labels = int(draw.log_uniform(MIN_LABELS, most + 1, 1).item())
        if set_size == 1:
            preds, target = _generate(severity[:, None], n_labels, draw)
            return Examples(preds[:, :, 0], target[:, :, 0])
        around = draw.log_uniform(0.02, 0.3, len(severity), 1) * draw.normal(len(severity), n_labels)
        preds, target = _generate((severity[:, None] + around).clamp(0, 1), set_size, draw)
        return Examples(preds.flatten(0, 1), target.flatten(0, 1))

    def in_regime(self, regime: str, examples: Examples, set_size: int, generator: torch.Generator) -> Examples:
        """Logits that are nearly equal, or nearly all on one side of 0."""
        preds = examples.preds
        n_labels = 1 if preds.ndim == 1 or set_size == 1 else preds.shape[1]
        n_sets = len(preds) // set_size
        changed = _in_regime(preds.reshape(n_sets, -1, n_labels), regime, Draw(generator))
        return examples.with_preds(changed.reshape(preds.shape))

    def decode(self, examples: Examples, view: str) -> tuple[Any, Any]:
        """Arrays: probabilities and 0 or 1, both (n,) or, in the view "multilabel", (n, K).

        Probabilities are of float64, in which logits up to 36 keep their order.
        """
        preds, target = examples.preds.double().sigmoid(), examples.target.long()
        if view == "binary" and preds.ndim == 2:
            if preds.shape[1] > 1:
                raise OutputsError(
                    f"preds has {preds.shape[1]} labels, but the metric has the view 'binary' and takes logits of "
                    "shape (n,); take one label, or a metric with view='multilabel'"
                )
            preds, target = preds[:, 0], target[:, 0]
        elif view == "multilabel" and preds.ndim == 1:
            preds, target = preds[:, None], target[:, None]
        return preds.cpu().numpy(), target.cpu().numpy()

    def perturbations(self, examples: Examples, generator: torch.Generator) -> Mapping[str, Examples]:
        """Less confident logits of the same signs, and another order of the labels.

        Logits are divided by a power of two, which is exact. Multiplied, probabilities near 1 would become equal.
        """
        less_confident = {HOW_SURE: examples.with_preds(examples.preds / 4)}
        if examples.preds.ndim == 1:
            return less_confident
        return {**less_confident, "which label is which": reordered(examples, 1, generator)}

    def regular_loss(self, examples: Examples) -> Tensor:
        """Binary cross-entropy, the mean over the labels of an example."""
        preds = examples.preds.float()
        each = F.binary_cross_entropy_with_logits(preds, examples.target.to(preds.dtype), reduction="none")
        return each if each.ndim == 1 else each.mean(1)

    def check(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Preds (n,) or (n, K) floating point; target of the same shape, 0 or 1 in any dtype."""
        preds, target = arrays["preds"], arrays["target"]
        expect_dtype("preds", preds, np.floating)
        if preds.ndim not in (1, 2):
            raise OutputsError(f"preds must have shape (n,) or (n, n_labels), got {preds.shape}")
        if target.shape != preds.shape:
            raise OutputsError(f"target must have the shape of preds {preds.shape}, got {target.shape}")
        wrong = (target != 0) & (target != 1)
        if wrong.any():
            location = tuple(int(i) for i in np.argwhere(wrong)[0])
            where = f"row {location[0]}" + (f", label {location[1]}" if len(location) > 1 else "")
            raise OutputsError(f"target holds {target[location]} in {where}; expected 0 or 1")


def _generate(severity: Tensor, n_items: int, draw: Draw) -> tuple[Tensor, Tensor]:
    """Logits and targets, both (n_sets, n_items, n_labels), of severities (n_sets, n_labels)."""
    n_sets, n_labels = severity.shape
    severity = severity[:, None]
    rarest = min(MIN_PREVALENCE, max(MIN_PREVALENCE_OF_LARGE, 1.28 / n_items))
    prevalence = draw.log_uniform(rarest, MAX_PREVALENCE, n_sets, 1, 1)
    prevalence = (prevalence * (0.5 * draw.normal(n_sets, 1, n_labels)).exp()).clamp(rarest, MAX_PREVALENCE)
    target = _targets(prevalence, n_items, draw)

    # Two ways to err: the classes overlap, or lie apart but for some examples on the wrong side.
    mixed_up = (draw.uniform(n_sets, 1, 1) < 0.5).float()
    apart = 6.0 - 7.0 * severity
    apart = torch.where(mixed_up > 0, (2.5 + 3.5 * draw.uniform(n_sets, 1, 1)).maximum(apart), apart)
    missed = mixed_up * severity ** draw.log_uniform(0.5, 2.0, n_sets, 1, 1)
    n_false = severity * draw.log_uniform(0.05, 10.0, n_sets, 1, 1)  # for each positive
    false = mixed_up * (n_false * prevalence / (1 - prevalence)).clamp(max=0.9)
    wrong_side = draw.uniform(*target.shape) < torch.where(target > 0, missed, false)
    high = (target > 0) != wrong_side

    spread = torch.where(high, (0.4 * draw.normal(n_sets, 1, 1)).exp(), 1.0)
    location = high * apart + spread * _noise(n_sets, n_items, n_labels, draw)
    # Cut where both errors are as many, or where the likelihoods meet, or beside it, further with the severity.
    odds = ((1 - prevalence) / prevalence).log() / apart.abs().clamp_min(1.0)
    beside = (0.2 + 1.5 * severity) * draw.uniform(n_sets, 1, n_labels) * draw.normal(n_sets, 1, n_labels)
    logits = location - (apart / 2 + 1.2 * draw.uniform(n_sets, 1, 1) * odds + beside)

    bend = (0.3 * draw.normal(n_sets, 1, 1)).exp()
    logits = logits.sign() * logits.abs() ** bend * draw.log_uniform(0.3, 5.0, n_sets, 1, 1)
    logits = 30 * (logits / 30).tanh()  # beyond 36 probabilities are all 1
    steps = draw.log_uniform(0.05, 0.5, n_sets, 1, 1)  # as of trees, whose scores often tie
    return torch.where(draw.uniform(n_sets, 1, 1) < 0.1, (logits / steps).floor() * steps, logits), target


def _in_regime(logits: Tensor, regime: str, draw: Draw) -> Tensor:
    """Logits of sets in a regime, in the same order as those of a trained model but for ties.

    - untrained: nearly equal, with 0 among them or far from them; in one of eight sets many are exactly equal or 0.
    - collapsed: all on one side of 0, but for up to a tenth of them in half of the sets.

    Args:
        logits: shape (n_sets, n_items, n_labels).
        regime: "untrained" or "collapsed".
        draw: source of randomness.
    """
    n_sets, n_items, n_labels = logits.shape
    centred = logits - logits.mean(1, keepdim=True)
    spread = centred.square().mean(1, keepdim=True).sqrt() + 1e-6
    if regime == _regimes.UNTRAINED:
        scale = draw.log_uniform(_regimes.MIN_SPREAD, _regimes.MAX_SPREAD, n_sets, 1, 1)
        away = draw.log_uniform(0.1, 30.0, n_sets, 1, 1) * draw.normal(n_sets, 1, n_labels)
        changed = scale * (centred + away * spread)
        steps = scale * spread * draw.log_uniform(0.3, 3.0, n_sets, 1, 1)
        return torch.where(draw.uniform(n_sets, 1, 1) < 1 / 8, (changed / steps).round() * steps, changed)
    side = torch.where(draw.uniform(n_sets, 1, n_labels) < 0.7, 1.0, -1.0)  # most models predict no positive
    centred = side * centred
    n_across = (0.1 * n_items * (2 * draw.uniform(n_sets, 1, n_labels) - 1).clamp_min(0) ** 2).ceil().long()
    n_across = n_across.clamp(max=n_items - 1)
    ordered = centred.sort(1, descending=True)[0]
    ordered = torch.cat([ordered[:, :1] + 2 * spread * draw.log_uniform(0.01, 3.0, n_sets, 1, n_labels), ordered], 1)
    cut = (ordered.gather(1, n_across) + ordered.gather(1, n_across + 1)) / 2
    return side * draw.log_uniform(0.03, 1.0, n_sets, 1, 1) * (centred - cut)


def _targets(prevalence: Tensor, n_items: int, draw: Draw) -> Tensor:
    """0 or 1, int64 (n_sets, n_items, n_labels); seldom are all of a set alike."""
    n_sets, _, n_labels = prevalence.shape
    target = (draw.uniform(n_sets, n_items, n_labels) < prevalence).long()
    if n_items < 2:
        return target
    item = (draw.uniform(n_sets, 1, n_labels) * n_items).long().clamp(max=n_items - 1)
    alike = target.amin(1, keepdim=True) == target.amax(1, keepdim=True)
    other = alike & (draw.uniform(n_sets, 1, n_labels) < 0.95)
    return target.scatter(1, item, target.gather(1, item) ^ other)


def _noise(n_sets: int, n_items: int, n_labels: int, draw: Draw) -> Tensor:
    """Of mean 0 and about unit spread: with light tails or heavy ones, even or skewed, the labels alike or not."""
    own = draw.normal(n_sets, n_items, n_labels)
    fraction = 0.7 * draw.uniform(n_sets, 1, 1)
    normal = fraction * draw.normal(n_sets, n_items, 1) + (1 - fraction**2).sqrt() * own
    tails = (0.6 * draw.uniform(n_sets, 1, 1) * draw.normal(n_sets, n_items, n_labels)).exp()
    skew = 2 * draw.uniform(n_sets, 1, 1) - 1
    skewed = skew * (draw.exponential(n_sets, n_items, n_labels) - 1)
    return (normal * tails + skewed) / (1 + skew**2).sqrt()


TASK = Scores()
