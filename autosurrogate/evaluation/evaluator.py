"""Judging the losses of a run: what a search is told, what is reported, and what is refused."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from autosurrogate.errors import LabellingError
from autosurrogate.evaluation import descent, point_losses, subsampling
from autosurrogate.evaluation.descent import BEYOND_NOISE, Descent, Way
from autosurrogate.evaluation.subsampling import Costs
from autosurrogate.labelling.labeller import Labeller
from autosurrogate.labelling.worker import Point
from autosurrogate.points.labelled_points import HeldOut, Points
from autosurrogate.points.labelled_set import Chunk
from autosurrogate.registry.metric_type import Metric
from autosurrogate.tasks import Task

WEIGHTS = (0.1, 0.3, 1.0)  # beside the regular loss
LEAST_RANKED = 0.3  # Spearman correlation on generated points, of every quality, below which nothing was learned


class Judge:
    """Judges losses of one run: on validation points while searching, on test points at the end.

    Args:
        task: the task.
        metric: the metric.
        labeller: runs the metric.
        device: where to compute.
        points: the labelled points that the search is made with.
        seed: of the bootstrap.
        costs: what a point costs; without them the descent check takes as long as it takes.
        descent_s: seconds for a descent check.
    """

    def __init__(
        self,
        task: Task,
        metric: Metric,
        labeller: Labeller,
        device: torch.device,
        points: Points,
        seed: int,
        costs: Costs | None = None,
        descent_s: float = math.inf,
    ) -> None:
        self._task, self._metric, self._labeller, self._device = task, metric, labeller, device
        self._points, self._seed, self._costs, self._descent_s = points, seed, costs, descent_s
        self._middling = self._to_descend(points.validation)
        self._regular = point_losses.regular_of_points(task)

    def _to_descend(self, chunks: list[Chunk]) -> list[Chunk]:
        n_points = descent.N_POINTS[self._metric.level]
        if self._costs is not None:
            chunks, n_points = subsampling.for_descent(chunks, self._costs, n_points, self._descent_s)
        return descent.middling(chunks, self._metric.higher_is_better, n_points)

    def mended(self, loss: Any, weight: float = 1.0) -> tuple[float, float]:
        """The descent check on validation points, along the regular loss and this one together, of whatever scale.

        Args:
            loss: to be added.
            weight: of it; with 1 it is as strong as the regular loss.

        Returns:
            As `share`.
        """
        return self.share(self.way.along(loss, weight, self._task, self._metric, self._device))

    def share(self, points: Sequence[Point]) -> tuple[float, float]:
        """What is mended on validation points once they have moved along `way`.

        Returns:
            The mean share of what separates them from the best, and the standard error of its difference from the
            regular loss's.
        """
        gains = descent.improvement(points, self._middling, self._metric, self._labeller)
        gain, error, _ = self._beside(gains, self._regular_gains)
        return gain / self._missing, error / self._missing

    @cached_property
    def way(self) -> Way:
        """Where and how far the points of descent checks move while searching."""
        return Way(self._middling, self.distance, float(self._regular_norms.median()))

    def regular_held_out(self) -> float:
        """The regular loss's Spearman correlation on validation points: the mean over generated and recorded ones."""
        kinds = [chunks for chunks in (self._points.validation, self._points.recorded_validation) if chunks]
        higher = self._metric.higher_is_better
        return float(np.mean([point_losses.spearman_on(self._regular, c, higher, self._device) for c in kinds]))

    def regular_mended(self) -> float:
        """The share that the regular loss mends in the descent check on validation points."""
        return float(np.nanmean(self._regular_gains)) / self._missing

    def rescale(self, loss: Any) -> None:
        """Scale a loss so that the median norm of its gradient on middling points is the regular loss's."""
        factor = descent.as_strong(loss, self._middling, float(self._regular_norms.median()), self._task, self._device)
        if factor > 0:
            loss.calibration.stretch(factor)

    def report(self, loss: Any, held_out: HeldOut) -> dict[str, Any]:
        """Figures of a loss that is scaled, and the weight that is suggested.

        Args:
            loss: the loss.
            held_out: points that nothing was chosen by.
        """
        middling = self._to_descend(held_out.generated)
        gains = {weight: self._gain(loss, weight, self._middling) for weight in WEIGHTS}
        best = max(WEIGHTS, key=lambda weight: gains[weight][0])
        no_worse = [weight for weight, (gain, error, regular) in gains.items() if gain + error >= regular]
        of_points = point_losses.loss_of_points(loss, self._task)
        own = self._norms(of_points)
        report: dict[str, Any] = {
            "held_out": self._agreements(of_points, held_out.generated),
            "gradient_norm": {"loss": float(own.median()), "regular": float(self._regular_norms.median())},
            "suggested_weight": max([best, *no_worse]),
            "descent": asdict(
                Descent(
                    *self._gain(loss, best, middling),
                    best,
                    self.distance,
                    sum(len(chunk) for chunk in middling),
                )
            ),
            "n_parameters": sum(p.numel() for p in loss.parameters()),
        }
        if held_out.recorded:
            report["held_out_recorded"] = self._agreements(of_points, held_out.recorded)
        return report

    def _agreements(self, of_points: point_losses.PointLosses, chunks: Sequence[Chunk]) -> dict[str, Any]:
        higher = self._metric.higher_is_better
        found = {
            "loss": asdict(point_losses.compare(of_points, chunks, higher, self._device, self._seed)),
            "regular": asdict(point_losses.compare(self._regular, chunks, higher, self._device, self._seed)),
        }
        return {**found, "set_sizes": self._of_each_size(of_points, chunks)}

    def _of_each_size(self, of_points: point_losses.PointLosses, chunks: Sequence[Chunk]) -> list[dict[str, Any]]:
        """Spearman's correlations on the sets of each size; nothing for a metric of single examples."""
        found: list[dict[str, Any]] = []
        for size in sorted({chunk.set_size for chunk in chunks}) if self._metric.level == "set" else ():
            alike = [chunk for chunk in chunks if chunk.set_size == size]
            own, regular = (
                point_losses.spearman_on(losses, alike, self._metric.higher_is_better, self._device)
                for losses in (of_points, self._regular)
            )
            found.append({"size": size, "n_points": sum(map(len, alike)), "loss": own, "regular": regular})
        return found

    @cached_property
    def distance(self) -> float:
        """Of the descent check, in the task's unit, see `descent.reach`; found on validation points."""

        def gain(distance: float) -> float:
            return float(np.nanmean(self._regular_way(self._middling, distance)))

        return descent.reach(gain, self._missing)

    @cached_property
    def _missing(self) -> float:
        """Mean difference between the metric of middling validation points and the best."""
        values, of_all = (torch.cat([c.values for c in chunks]) for chunks in (self._middling, self._points.validation))
        best = of_all.max() if self._metric.higher_is_better else of_all.min()
        return max(float((values - best).abs().mean()), 1e-12)

    @cached_property
    def _regular_gains(self) -> np.ndarray:
        """The regular loss's, on middling validation points."""
        return self._regular_way(self._middling, self.distance)

    def _gain(self, loss: Any, weight: float, chunks: Sequence[Chunk]) -> tuple[float, float, float]:
        """The mean gain with the loss, the standard error of its difference from the regular loss's, and the latter."""
        gains = self._gains(descent.both(loss, weight, self._task), chunks, self.distance)
        same = chunks is self._middling
        return self._beside(gains, self._regular_gains if same else self._regular_way(chunks, self.distance))

    def _beside(self, gains: np.ndarray, regular: np.ndarray) -> tuple[float, float, float]:
        """Means and standard error of gains, see `_gain`, on the points where both are there."""
        there = np.isfinite(gains) & np.isfinite(regular)  # the metric may fail on points once they have moved
        self._check_some(there)
        gains, regular = gains[there], regular[there]
        error = float((gains - regular).std(ddof=1) / len(gains) ** 0.5)
        return float(gains.mean()), error, float(regular.mean())

    def _regular_way(self, chunks: Sequence[Chunk], distance: float) -> np.ndarray:
        found = self._gains(self._regular, chunks, distance)
        self._check_some(np.isfinite(found))
        return found

    def _gains(self, of_points: point_losses.PointLosses, chunks: Sequence[Chunk], distance: float) -> np.ndarray:
        points = descent.moved(of_points, chunks, self._task, self._metric, self._device, distance)
        return descent.improvement(points, chunks, self._metric, self._labeller)

    def _check_some(self, worked: np.ndarray) -> None:
        if worked.sum() < 2:
            raise LabellingError(f"metric {self._metric.name!r}: failed on nearly all points of the descent check")

    def _norms(self, of_points: point_losses.PointLosses) -> Tensor:
        """Norms of the gradient of middling validation points."""
        return point_losses.gradient_norms(of_points, self._middling, self._task, self._device)

    @cached_property
    def _regular_norms(self) -> Tensor:
        return self._norms(self._regular)


def shortfalls(metadata: dict[str, Any]) -> list[str]:
    """Why a loss should not be handed out: the figures that fell short."""
    found: list[str] = []
    parts = [("held-out generated points", metadata["held_out"], LEAST_RANKED)]
    if "held_out_recorded" in metadata:
        parts.append(("held-out recorded outputs", metadata["held_out_recorded"], 0.0))
    for where, agreement, least in parts:
        own, regular = agreement["loss"]["spearman"], agreement["regular"]["spearman"]
        if not own > least:
            found.append(
                f"its Spearman correlation on {where} is {100 * own:.1f}, not above {100 * least:g}: it does not "
                "follow the metric"
            )
        elif not own > regular:
            found.append(
                f"its Spearman correlation on {where} is {100 * own:.1f}, the regular loss's {100 * regular:.1f}"
            )
    descent = metadata["descent"]
    if not descent["gain"] + BEYOND_NOISE * descent["gain_error"] >= descent["regular_gain"]:
        found.append(
            f"added to the regular loss with weight {descent['weight']:g}, its gain in the descent check is "
            f"{descent['gain']:.4g} (standard error {descent['gain_error']:.2g}), the regular loss's alone "
            f"{descent['regular_gain']:.4g}"
        )
    return found
