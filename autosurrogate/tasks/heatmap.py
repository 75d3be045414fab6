"""Heatmaps: a map for each of K keypoints, which is highest where the keypoint is."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import compress
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from autosurrogate.errors import OutputsError
from autosurrogate.examples import Examples
from autosurrogate.tasks import _regimes
from autosurrogate.tasks._base import Task, expect_dtype, expect_shape
from autosurrogate.tasks._draw import Draw
from autosurrogate.tasks._heatmap_generator import generate, in_regime
from autosurrogate.tasks._perturbations import reordered

Item = dict[str, np.ndarray]  # of an example

AREA_FRACTION = 0.25  # of the map that a person covers if no area is recorded: a box with a margin, half filled
UNIT_FRACTION = 0.3  # of the height of an example's peaks
MIN_UNIT = 1e-3


class Heatmap(Task):
    """preds, target: heatmaps (n, K, H, W); weight: (n, K), 0 for keypoints that are not annotated."""

    name = "heatmap"
    regimes = (_regimes.UNTRAINED, _regimes.COLLAPSED)
    views: ClassVar[Mapping[str, Mapping[str, tuple[Any, Any]]]] = {
        "keypoints": {"sample": (Item, Item), "set": (list[Item], list[Item])},
    }
    argument_names = ("heatmaps", "target_heatmaps")
    extras = ("weight",)
    metric_extras = ("area", "normaliser")

    def generate(self, severity: Tensor, generator: torch.Generator, set_size: int = 1, view: str = "") -> Examples:
        """Heatmaps of people, whose peaks are displaced, swapped, doubled or missing.

        A set shares the frequencies of the errors, the distance of the peaks, their shape, the noise and the scale. The
        height of a peak is independent of whether it is right, in some sets more than in others.
        """
        return generate(severity, Draw(generator), set_size)

    def in_regime(self, regime: str, examples: Examples, set_size: int, generator: torch.Generator) -> Examples:
        """Maps of untrained and collapsed models."""
        maps = examples.preds.view(-1, set_size, *examples.preds.shape[1:])
        return examples.with_preds(in_regime(maps, regime, Draw(generator)).flatten(0, 1))

    def decode(self, examples: Examples, view: str) -> tuple[Any, Any]:
        """A dict for each example: positions (x, y) of the maps' maxima in cells, and sizes that scale distances.

        preds: `keypoints` (K, 2) and `scores` (K,), the maxima. target: `keypoints` (K, 2), `weight` (K,), `size`,
        the longer side of the map, `normaliser`, by default that side too, and `area`, by default a quarter of the map.
        """
        n, n_keypoints, height, width = examples.target.shape
        weight = examples.extras.get("weight", torch.ones(n, n_keypoints))
        area = examples.extras.get("area", torch.full((n,), AREA_FRACTION * height * width))
        normaliser = examples.extras.get("normaliser", torch.full((n,), max(height, width)))
        ours, scores = _highest(examples.preds)
        theirs, _ = _highest(examples.target)
        size = np.float64(max(height, width))
        preds = [{"keypoints": k, "scores": s} for k, s in zip(ours, scores, strict=True)]
        target = [
            {"keypoints": k, "weight": w, "size": size, "normaliser": norm, "area": a}
            for k, w, norm, a in zip(theirs, _numbers(weight), _numbers(normaliser), _numbers(area), strict=True)
        ]
        return preds, target

    def has_target(self, examples: Examples) -> np.ndarray | None:
        """Which examples have an annotated keypoint."""
        weight = examples.extras.get("weight")
        return None if weight is None else (weight > 0).any(1).cpu().numpy()

    def points(self, examples: Examples, view: str, set_size: int | None) -> list[tuple[Any, Any]]:
        """The arguments of each call of a metric; sets are without the examples that have no annotated keypoint."""
        preds, target = self.decode(examples, view)
        if set_size is None:
            return list(zip(preds, target, strict=True))
        has_target = self.has_target(examples)
        if has_target is None:
            has_target = np.ones(len(examples), dtype=bool)
        points = [slice(i, i + set_size) for i in range(0, len(examples), set_size)]
        return [
            (list(compress(preds[at], has_target[at])), list(compress(target[at], has_target[at]))) for at in points
        ]

    def unit(self, examples: Examples) -> Tensor:
        """A fraction of the height of an example's peaks above their surroundings, shape (n, 1, 1, 1)."""
        maps = examples.preds.detach().float().flatten(2)
        heights = (maps.amax(2) - maps.mean(2)).mean(1)
        return (UNIT_FRACTION * heights).clamp_min(MIN_UNIT).view(-1, 1, 1, 1)

    def perturbations(self, examples: Examples, generator: torch.Generator) -> Mapping[str, Examples]:
        """Another order of the keypoints, and higher peaks."""
        return {
            "which keypoint is which": reordered(examples, 1, generator, "weight"),
            "how high the peaks are": examples.with_preds(2 * examples.preds),
        }

    def regular_loss(self, examples: Examples) -> Tensor:
        """Mean squared error, the mean over the annotated keypoints of an example; 0 where there is none."""
        each = (examples.preds.float() - examples.target.float()).square().mean((2, 3))
        weight = examples.extras.get("weight")
        annotated = torch.ones_like(each) if weight is None else (weight > 0).to(each.dtype)
        return (each * annotated).sum(1) / annotated.sum(1).clamp_min(1)

    def check(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Preds and target (n, K, H, W) floating point; weight (n, K) >= 0; area and normaliser (n,) above 0."""
        preds, target = arrays["preds"], arrays["target"]
        for name, array in (("preds", preds), ("target", target)):
            expect_shape(name, array, "(n, n_keypoints, height, width)", 4)
            expect_dtype(name, array, np.floating)
        if target.shape != preds.shape:
            raise OutputsError(f"target must have the shape of preds {preds.shape}, got {target.shape}")
        if not np.isfinite(target).all():
            raise OutputsError("target must be finite: it holds NaN or infinity")
        for name, shape in (("weight", preds.shape[:2]), ("area", preds.shape[:1]), ("normaliser", preds.shape[:1])):
            if name in arrays:
                _expect_measure(name, arrays[name], shape, positive=name != "weight")


def _expect_measure(name: str, array: np.ndarray, shape: tuple[int, ...], *, positive: bool) -> None:
    if array.shape != shape:
        raise OutputsError(f"{name} must have shape {shape}, the first of preds' axes, got {array.shape}")
    right = (array > 0) if positive else (array >= 0)
    right = right & np.isfinite(array)
    if not right.all():
        wrong = array[~right][0]
        raise OutputsError(f"{name} must be {'above 0' if positive else '0 or more'} and finite, got {wrong}")


def _highest(maps: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """(x, y) of the maximum of each map, float64 (n, K, 2), and the maxima, float64 (n, K)."""
    scores, place = maps.detach().flatten(2).max(2)
    width = maps.shape[3]
    keypoints = torch.stack([place % width, torch.div(place, width, rounding_mode="floor")], -1)
    return _numbers(keypoints), _numbers(scores)


def _numbers(array: Tensor) -> np.ndarray:
    return array.double().cpu().numpy()


TASK = Heatmap()
