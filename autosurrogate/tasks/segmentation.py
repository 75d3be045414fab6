"""Segmentation: one of C classes for each pixel of an image."""

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
from autosurrogate.tasks._segmentation_generator import generate

IGNORE_INDEX = -100


class Segmentation(Task):
    """preds: logits (n, C, H, W); target: class of each pixel (n, H, W), pixels of -100 are left out."""

    name = "segmentation"
    regimes = (_regimes.UNTRAINED, _regimes.COLLAPSED, _regimes.SATURATED)
    views: ClassVar[Mapping[str, Mapping[str, tuple[Any, Any]]]] = {
        "labels": {"sample": (np.ndarray, np.ndarray), "set": (np.ndarray, np.ndarray)},
        "probabilities": {"sample": (np.ndarray, np.ndarray), "set": (np.ndarray, np.ndarray)},
    }
    argument_names = ("logits", "classes")
    padding: ClassVar[Mapping[str, tuple[float, tuple[int, ...]]]] = {
        "preds": (0, (1, 2)),
        "target": (IGNORE_INDEX, (0, 1)),
    }

    def generate(self, severity: Tensor, generator: torch.Generator, set_size: int = 1, view: str = "") -> Examples:
        """Images of a few shapes, and logits that find them more or less; confidence is independent of correctness.

        Shapes are missed, displaced, swollen, roughened, given another class or invented; pixels are wrong in patches
        or one by one; some classes are never predicted in a whole set.
        """
        return generate(severity, Draw(generator), set_size)

    def in_regime(self, regime: str, examples: Examples, set_size: int, generator: torch.Generator) -> Examples:
        """Logits of untrained, collapsed and saturated models; a preferred class is so in all pixels of a set."""
        pixels = examples.preds.float().movedim(1, -1)
        logits = pixels.reshape(len(examples) // set_size, -1, pixels.shape[-1])
        changed = _regimes.of_logits(logits, regime, Draw(generator))
        changed = changed - changed.mean((1, 2), keepdim=True)  # else float16 would make nearly equal logits equal
        return examples.with_preds(changed.view_as(pixels).movedim(-1, 1).contiguous())

    def decode(self, examples: Examples, view: str) -> tuple[Any, Any]:
        """Arrays: the class of largest logit (n, H, W), or the probabilities (n, C, H, W); and the classes (n, H, W).

        Rows and columns at the end that have no target in any of the images are cut off: they are padding.
        """
        has_target = _has_target(examples).any(0)
        height, width = (int((has_target.any(axis).cumsum(0) * has_target.any(axis)).argmax()) + 1 for axis in (1, 0))
        preds, target = examples.preds[:, :, :height, :width], examples.target[:, :height, :width]
        decoded = preds.argmax(1) if view == "labels" else preds.float().softmax(1)
        return decoded.cpu().numpy(), target.long().cpu().numpy()

    def has_target(self, examples: Examples) -> np.ndarray:
        """Which images have a pixel with a target."""
        return _has_target(examples).flatten(1).any(1).cpu().numpy()

    def unit(self, examples: Examples) -> Tensor:
        """A twentieth of a logit at each pixel with a target: its L2 norm over the image, shape (n, 1, 1, 1)."""
        return _has_target(examples).sum((1, 2), dtype=torch.float32).clamp_min(1).sqrt()[:, None, None, None] / 20

    def perturbations(self, examples: Examples, generator: torch.Generator) -> Mapping[str, Examples]:
        """Other numbers for the classes but for 0, which may be the background."""
        return {WHICH_CLASS: renumbered(examples, 1, generator, n_fixed=1)}

    def regular_loss(self, examples: Examples) -> Tensor:
        """Cross-entropy, the mean over the pixels that have a target; 0 where there is none."""
        per_pixel = F.cross_entropy(
            examples.preds.float(), examples.target.long(), reduction="none", ignore_index=IGNORE_INDEX
        )
        return per_pixel.sum((1, 2)) / _has_target(examples).sum((1, 2)).clamp_min(1)

    def check(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Preds (n, C, H, W) floating point with C >= 2; target (n, H, W) integer in [0, C) or -100."""
        preds, target = arrays["preds"], arrays["target"]
        expect_shape("preds", preds, "(n, n_classes, height, width)", 4)
        expect_shape("target", target, "(n, height, width)", 3)
        expect_dtype("preds", preds, np.floating)
        expect_dtype("target", target, np.integer)
        n_classes = preds.shape[1]
        if n_classes < 2:
            raise OutputsError(
                f"preds has {n_classes} class; segmentation needs logits of 2 classes or more: one logit of an object "
                "is numpy.concatenate([0 * preds, preds], 1)"
            )
        if preds.shape[2:] != target.shape[1:]:
            raise OutputsError(f"target must have the height and width of preds {preds.shape[2:]}, got {target.shape}")
        wrong = (target != IGNORE_INDEX) & ((target < 0) | (target >= n_classes))
        if wrong.any():
            row, y, x = np.argwhere(wrong)[0]
            raise OutputsError(
                f"target holds {target[row, y, x]} in row {row}, pixel ({y}, {x}); expected 0 to {n_classes - 1}, "
                f"or {IGNORE_INDEX} for none"
            )


def _has_target(examples: Examples) -> Tensor:
    """Which pixels have a target, bool (n, H, W)."""
    return examples.target.long() != IGNORE_INDEX  # in uint8, -100 is class 156


TASK = Segmentation()
