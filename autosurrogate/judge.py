"""Judging the losses of a run: what a search is told, what is reported, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from autosurrogate import evaluation
from autosurrogate.errors import LabellingError
from autosurrogate.labelled_points import Points
from autosurrogate.labelled_set import Chunk
from autosurrogate.labelling import Labeller
from autosurrogate.registry import Metric
from autosurrogate.tasks import Task


class Judge:
    """Judges losses of one run: on validation points while searching, on test points at the end.

    Args:
        task: the task.
        metric: the metric.
        labeller: runs the metric.
        device: where to compute.
        points: the run's labelled points.
        seed: of the bootstrap.
    """

    def __init__(
        self, task: Task, metric: Metric, labeller: Labeller, device: torch.device, points: Points, seed: int
    ) -> None:
        self._task, self._metric, self._labeller, self._device = task, metric, labeller, device
        self._points, self._seed = points, seed
        n_points = evaluation.DESCENT_POINTS[metric.level]
        self._middling = evaluation.middling(points.validation, metric.higher_is_better, n_points)
        self._middling_test = evaluation.middling(points.test, metric.higher_is_better, n_points)
        self._regular = evaluation.regular_of_points(task)

    def gain(self, loss: Any) -> tuple[float, float]:
        """The descent check on validation points: the mean gain, and its standard error."""
        return self._gain(evaluation.loss_of_points(loss, self._task), test=False)

    def regular_held_out(self) -> float:
        """The regular loss's Spearman correlation on validation points: the mean over generated and recorded ones."""
        kinds = [chunks for chunks in (self._points.validation, self._points.recorded_validation) if chunks]
        higher = self._metric.higher_is_better
        return float(np.mean([evaluation.spearman_on(self._regular, c, higher, self._device) for c in kinds]))

    def regular_gain(self) -> float:
        """The regular loss's mean gain in the descent check on validation points."""
        return self._gain(self._regular, test=False)[0]

    def rescale(self, loss: Any) -> None:
        """Scale a loss so that the median norm of its gradient on middling points is the regular loss's."""
        own, regular = self._norms(loss)
        if own > 0:
            loss.scale.mul_(regular / own)

    def report(self, loss: Any) -> dict[str, Any]:
        """Figures on points that nothing was chosen by."""
        of_points = evaluation.loss_of_points(loss, self._task)
        own, regular = self._norms(loss)
        report: dict[str, Any] = {
            "held_out": self._agreements(of_points, self._points.test),
            "gradient_norm": {"loss": own, "regular": regular},
            "suggested_weight": 1.0,
            "descent": asdict(
                evaluation.Descent(
                    *self._gain(of_points, test=True),
                    self._gain(self._regular, test=True)[0],
                    evaluation.DESCENT_DISTANCE[self._metric.level],
                    sum(len(chunk) for chunk in self._middling_test),
                )
            ),
            "n_parameters": sum(p.numel() for p in loss.parameters()),
        }
        if self._points.recorded_test:
            report["held_out_recorded"] = self._agreements(of_points, self._points.recorded_test)
        return report

    def _agreements(self, of_points: evaluation.PointLosses, chunks: Sequence[Chunk]) -> dict[str, Any]:
        higher = self._metric.higher_is_better
        found = {
            "loss": asdict(evaluation.compare(of_points, chunks, higher, self._device, self._seed)),
            "regular": asdict(evaluation.compare(self._regular, chunks, higher, self._device, self._seed)),
        }
        return {**found, "set_sizes": self._of_each_size(of_points, chunks)}

    def _of_each_size(self, of_points: evaluation.PointLosses, chunks: Sequence[Chunk]) -> list[dict[str, Any]]:
        """Spearman's correlations on the sets of each size; nothing for a metric of single examples."""
        found: list[dict[str, Any]] = []
        for size in sorted({chunk.set_size for chunk in chunks}) if self._metric.level == "set" else ():
            alike = [chunk for chunk in chunks if chunk.set_size == size]
            own, regular = (
                evaluation.spearman_on(losses, alike, self._metric.higher_is_better, self._device)
                for losses in (of_points, self._regular)
            )
            found.append({"size": size, "n_points": sum(map(len, alike)), "loss": own, "regular": regular})
        return found

    def _gain(self, of_points: evaluation.PointLosses, *, test: bool) -> tuple[float, float]:
        chunks = self._middling_test if test else self._middling
        gains = evaluation.gains(
            of_points,
            chunks,
            self._task,
            self._metric,
            self._labeller,
            self._device,
            evaluation.DESCENT_DISTANCE[self._metric.level],
        )
        if len(gains) < 2:
            raise LabellingError(f"metric {self._metric.name!r}: failed on nearly all points of the descent check")
        return float(gains.mean()), float(gains.std(ddof=1) / len(gains) ** 0.5)

    def _norms(self, loss: Any) -> tuple[float, float]:
        of_points = evaluation.loss_of_points(loss, self._task)
        own = evaluation.gradient_norms(of_points, self._middling, self._task, self._device)
        regular = evaluation.gradient_norms(self._regular, self._middling, self._task, self._device)
        return float(own.median()), float(regular.median())


def shortfalls(metadata: dict[str, Any]) -> list[str]:
    """Why a loss should not be handed out: the figures that fell short."""
    found: list[str] = []
    parts = {"held-out generated points": metadata["held_out"]}
    if "held_out_recorded" in metadata:
        parts["held-out recorded outputs"] = metadata["held_out_recorded"]
    for where, agreement in parts.items():
        own, regular = agreement["loss"]["spearman"], agreement["regular"]["spearman"]
        if not own > 0:
            found.append(f"its Spearman correlation on {where} is {100 * own:.1f}: it does not follow the metric")
        elif not own > regular:
            found.append(
                f"its Spearman correlation on {where} is {100 * own:.1f}, the regular loss's {100 * regular:.1f}"
            )
    descent = metadata["descent"]
    if not descent["gain"] + descent["gain_error"] >= descent["regular_gain"]:
        found.append(
            f"its gain in the descent check is {descent['gain']:.4g} (standard error {descent['gain_error']:.2g}), the "
            f"regular loss's {descent['regular_gain']:.4g}"
        )
    return found
