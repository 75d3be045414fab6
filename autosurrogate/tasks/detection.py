"""Detection: boxes of objects of C classes in images, each with a score."""

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
from autosurrogate.tasks._detection_generator import ABSENT, MIN_LOGIT, generate
from autosurrogate.tasks._detection_loss import assigned_loss
from autosurrogate.tasks._detection_regimes import in_regime
from autosurrogate.tasks._draw import Draw
from autosurrogate.tasks._perturbations import WHICH_CLASS, renumbered

MAX_COORDINATE = 1e6  # pixels
BOX_UNIT = 0.2  # of the side of an image's true boxes


class Detection(Task):
    """preds: boxes and class logits (n, Q, 4 + C); target: boxes and class (n, M, 5), class -1 pads.

    Boxes are xyxy in pixels. There is no background class: a class's score is the sigmoid of its logit.
    """

    name = "detection"
    regimes = (_regimes.UNTRAINED, _regimes.COLLAPSED, _regimes.SATURATED)
    views: ClassVar[Mapping[str, Mapping[str, tuple[Any, Any]]]] = {
        "boxes": {"sample": (dict, dict), "set": (list[dict], list[dict])},  # type: ignore[type-arg]
    }
    argument_names = ("preds", "boxes")
    padding: ClassVar[Mapping[str, tuple[float, tuple[int, ...]]]] = {"preds": (ABSENT, (0,)), "target": (-1, (0,))}

    def generate(self, severity: Tensor, generator: torch.Generator, set_size: int = 1, view: str = "") -> Examples:
        """Images with up to six true boxes, some of them detected, and detections of the background.

        Each set has a random size of its images, sizes, shapes and classes of its boxes, and an amount of each error:
        displaced boxes, missed ones, wrong classes, duplicates, detections of the background, scores out of order.
        In some sets most images have no true box. Scale and level of the logits are independent of that.
        """
        return generate(severity, Draw(generator), set_size)

    def in_regime(self, regime: str, examples: Examples, set_size: int, generator: torch.Generator) -> Examples:
        """Boxes and logits of untrained, collapsed and saturated models; a set shares a place and a preference."""
        preds = examples.preds.view(-1, set_size, *examples.preds.shape[1:])
        return examples.with_preds(in_regime(preds, regime, Draw(generator)).flatten(0, 1))

    def decode(self, examples: Examples, view: str) -> tuple[Any, Any]:
        """Of each image "boxes" (q, 4), "scores" (q,) and "labels" (q,); and "boxes" (m, 4) and "labels" (m,).

        Every query is a detection of the class of its largest logit, the score its sigmoid. A query whose logits are
        all below -1000 is padding.
        """
        preds = examples.preds.double().cpu()
        boxes, (best, label) = preds[..., :4].numpy(), preds[..., 4:].max(-1)
        score, labels, present = best.sigmoid().numpy(), label.numpy(), (best > MIN_LOGIT).numpy()
        target = examples.target.double().cpu().numpy()
        classes = target[..., 4].astype(np.int64)
        detections = [
            {"boxes": b[p], "scores": s[p], "labels": k[p]}
            for b, s, k, p in zip(boxes, score, labels, present, strict=True)
        ]
        true_boxes = [{"boxes": t[k >= 0, :4], "labels": k[k >= 0]} for t, k in zip(target, classes, strict=True)]
        return detections, true_boxes

    def traits(self, examples: Examples, set_size: int) -> Mapping[str, Tensor]:
        """The sharpness of the scores: boxes are in pixels, and padding has none."""
        scores = examples.preds[..., 4:].amax(-1, keepdim=True)
        of_queries = torch.where(scores > MIN_LOGIT, scores, -torch.inf)
        return super().traits(examples.with_preds(of_queries), set_size)

    def perturbations(self, examples: Examples, generator: torch.Generator) -> Mapping[str, Examples]:
        """Other numbers for the classes."""
        classes = Examples(examples.preds[..., 4:].flatten(0, 1), examples.target[..., 4])
        other = renumbered(classes, 1, generator)
        preds = torch.cat([examples.preds[..., :4], other.preds.view_as(examples.preds[..., 4:])], -1)
        target = torch.cat([examples.target[..., :4], other.target[..., None].to(examples.target.dtype)], -1)
        return {WHICH_CLASS: Examples(preds, target, examples.extras)}

    def regular_loss(self, examples: Examples) -> Tensor:
        """Focal loss of the classes, generalised IoU and distance of the boxes, each true box paired with a query."""
        preds, target = examples.preds.float(), examples.target.float()
        logits = preds[..., 4:].clamp(ABSENT, -ABSENT)
        present = preds[..., 4:].amax(-1) > MIN_LOGIT
        boxes = preds[..., :4].clamp(-MAX_COORDINATE, MAX_COORDINATE)
        return assigned_loss(boxes, logits, present, target[..., :4], target[..., 4].long())

    def unit(self, examples: Examples) -> Tensor:
        """1 for logits; for boxes a fifth of the side of the image's true boxes, the root of their mean area."""
        target = examples.target.float()
        valid = (target[..., 4] >= 0).to(target.dtype)
        area = (target[..., 2:4] - target[..., :2]).clamp_min(0).prod(-1)
        side = ((area * valid).sum(1) / valid.sum(1).clamp_min(1)).sqrt()
        side = torch.where(valid.sum(1) > 0, side, side.mean()).clamp_min(1)
        unit = torch.ones(len(target), 1, examples.preds.shape[-1], device=target.device)
        unit[..., :4] = BOX_UNIT * side[:, None, None]
        return unit

    def check(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Preds (n, Q, 4 + C) floating point; target (n, M, 5), the class a whole number in [0, C), or -1."""
        preds, target = arrays["preds"], arrays["target"]
        expect_shape("preds", preds, "(n, n_queries, 4 + n_classes)", 3)
        expect_shape("target", target, "(n, n_boxes, 5)", 3)
        expect_dtype("preds", preds, np.floating)
        expect_dtype("target", target, np.number)
        n_classes = preds.shape[2] - 4
        if n_classes < 1:
            raise OutputsError(f"preds has {preds.shape[2]} columns; expected 4 of the box and a logit for each class")
        if target.shape[2] != 5:
            raise OutputsError(f"target must have shape (n, n_boxes, 5), box and class, got {target.shape}")
        classes = target[..., 4]
        wrong = (classes != np.floor(classes)) | (classes < -1) | (classes >= n_classes)
        if wrong.any():
            row, box = np.argwhere(wrong)[0]
            raise OutputsError(
                f"target holds class {classes[row, box]:g} in row {row}, box {box}; expected 0 to {n_classes - 1}, or "
                "-1 for no box"
            )
        inverted = (target[..., 2:4] < target[..., :2]).any(-1) & (classes >= 0)
        if inverted.any():
            row, box = np.argwhere(inverted)[0]
            raise OutputsError(
                f"target holds the box {target[row, box, :4].tolist()} in row {row}, box {box}; expected x1, y1, x2, "
                "y2 with x1 <= x2 and y1 <= y2"
            )


TASK = Detection()
