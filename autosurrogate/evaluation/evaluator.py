"""The evaluation of a run's losses: by validation points during the search, by test points at the end."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from autosurrogate.errors import LabellingError
from autosurrogate.evaluation import descent, point_losses, strata, subsampling
from autosurrogate.evaluation.descent import DescentPath
from autosurrogate.evaluation.subsampling import Costs
from autosurrogate.export.metadata import (
    DescentCheck,
    GradientNorms,
    HeldOutCorrelations,
    Quality,
    SetSizeCorrelation,
)
from autosurrogate.labelling.labeller import Labeller
from autosurrogate.labelling.outcomes import Point
from autosurrogate.points.labelled_points import HeldOut, Points
from autosurrogate.points.labelled_set import Chunk
from autosurrogate.rank_correlation.statistics import spearman
from autosurrogate.registry.metric_type import Metric
from autosurrogate.surrogates import Loss
from autosurrogate.tasks import Task

WEIGHTS = (0.1, 0.3, 1.0)  # of a loss beside the regular loss, that the report compares


class Evaluator:
    """Evaluates the losses of one run.

    Args:
        task: the task.
        metric: the metric.
        labeller: runs the metric.
        device: where to compute.
        points: the labelled points of the search.
        seed: of the bootstrap.
        costs: seconds a point; without them a descent check has no limit of time.
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
        self._start = self._points_to_descend(points.validation)
        self._regular = point_losses.regular_of_points(task)

    def _points_to_descend(self, chunks: list[Chunk]) -> list[Chunk]:
        n_points = descent.N_POINTS[self._metric.level]
        if self._costs is not None:
            chunks, n_points = subsampling.subsample_for_descent(chunks, self._costs, n_points, self._descent_s)
        return descent.mid_quality(chunks, self._metric.higher_is_better, n_points)

    def gain_fraction(self, loss: Loss, weight: float = 1.0) -> tuple[float, float]:
        """The descent check on validation points, along the regular loss plus a loss of any scale.

        Args:
            loss: to add to the regular loss.
            weight: of the loss; with 1 its gradient is as strong as the regular loss's.

        Returns:
            See `gain_fraction_of`.
        """
        return self.gain_fraction_of(self.descent_path.descend(loss, weight, self._task, self._metric, self._device))

    def gain_fraction_of(self, points: Sequence[Point]) -> tuple[float, float]:
        """The gain on validation points that have moved along `descent_path`, as a fraction of what was missing.

        Returns:
            The mean gain, divided by the mean difference between the points' metric before and the best; and the
            standard error of its difference from the regular loss's gain fraction.
        """
        gains = descent.improvement(points, self._start, self._metric, self._labeller)
        gain, error, _ = self._compare_gains(gains, self._regular_gains)
        return gain / self._missing, error / self._missing

    @cached_property
    def descent_path(self) -> DescentPath:
        """Where the descent checks of the search start, and how far they go."""
        return DescentPath(self._start, self.distance, float(self._regular_norms.median()))

    def regular_spearman(self) -> float:
        """The regular loss's Spearman correlation on validation points, averaged over generated and recorded ones."""
        kinds = [chunks for chunks in (self._points.validation, self._points.recorded_validation) if chunks]
        higher = self._metric.higher_is_better
        return float(np.mean([point_losses.spearman_on(self._regular, c, higher, self._device) for c in kinds]))

    def regular_gain_fraction(self) -> float:
        """The gain fraction of the regular loss alone on validation points."""
        return float(np.nanmean(self._regular_gains)) / self._missing

    def rescale(self, loss: Loss) -> None:
        """Scale a loss so that the median norm of its gradient on points of mid quality is the regular loss's."""
        strength = float(self._regular_norms.median())
        factor = descent.matching_scale(loss, self._start, strength, self._task, self._device)
        if factor > 0:
            loss.calibration.stretch(factor)

    def report(self, loss: Loss, held_out: HeldOut) -> Quality:
        """How good a scaled loss is, and its suggested weight.

        Args:
            loss: the loss.
            held_out: points that no choice depended on.
        """
        gains = {weight: self._gain(loss, weight, self._start) for weight in WEIGHTS}
        best = max(WEIGHTS, key=lambda weight: gains[weight][0])
        no_worse = [weight for weight, (gain, error, regular) in gains.items() if gain + error >= regular]
        of_points = point_losses.loss_of_points(loss, self._task)
        norm, regular_norm = float(self._norms(of_points).median()), float(self._regular_norms.median())
        recorded = held_out.recorded
        return Quality(
            held_out_generated=self._correlations(of_points, held_out.generated),
            held_out_recorded=self._correlations(of_points, recorded) if recorded else None,
            gradient_norms=GradientNorms(loss=norm, regular_loss=regular_norm),
            suggested_weight=max([best, *no_worse]),
            descent_check=self._descent_check(loss, best, held_out),
        )

    def _correlations(self, of_points: point_losses.PointLosses, chunks: Sequence[Chunk]) -> HeldOutCorrelations:
        higher = self._metric.higher_is_better
        own, regular = (point_losses.losses_on(losses, chunks, self._device) for losses in (of_points, self._regular))
        return HeldOutCorrelations(
            loss=point_losses.compare(own, chunks, higher, self._seed),
            regular_loss=point_losses.compare(regular, chunks, higher, self._seed),
            by_set_size=self._correlations_by_set_size(own, regular, chunks),
            strata=strata.order_by_stratum(self._task, own, regular, chunks, higher),
        )

    def _correlations_by_set_size(
        self, own: np.ndarray, regular: np.ndarray, chunks: Sequence[Chunk]
    ) -> tuple[SetSizeCorrelation, ...]:
        """Spearman's correlations of both losses on the sets of each size; empty for a metric of single examples."""
        if self._metric.level != "set":
            return ()
        sign = -1.0 if self._metric.higher_is_better else 1.0
        values = np.concatenate([chunk.values.numpy() for chunk in chunks])
        sizes = np.repeat([chunk.set_size for chunk in chunks], [len(chunk) for chunk in chunks])
        return tuple(
            SetSizeCorrelation(
                int(size),
                int((sizes == size).sum()),
                *(sign * spearman(losses[sizes == size], values[sizes == size]) for losses in (own, regular)),
            )
            for size in np.unique(sizes)
        )

    def _descent_check(self, loss: Loss, weight: float, held_out: HeldOut) -> DescentCheck:
        chunks = self._points_to_descend(held_out.generated)
        gain, error, regular = self._gain(loss, weight, chunks)
        return DescentCheck(gain, error, regular, weight, self.distance, sum(map(len, chunks)))

    @cached_property
    def distance(self) -> float:
        """Distance of the descent check, in the task's unit, see `descent.descent_distance`; from validation points."""

        def gain(distance: float) -> float:
            return float(np.nanmean(self._gains_along_regular(self._start, distance)))

        return descent.descent_distance(gain, self._missing)

    @cached_property
    def _missing(self) -> float:
        """Mean difference between the metric of validation points of mid quality and the best."""
        values, of_all = (torch.cat([c.values for c in chunks]) for chunks in (self._start, self._points.validation))
        best = of_all.max() if self._metric.higher_is_better else of_all.min()
        return max(float((values - best).abs().mean()), 1e-12)

    @cached_property
    def _regular_gains(self) -> np.ndarray:
        """Gains along the regular loss, on validation points of mid quality."""
        return self._gains_along_regular(self._start, self.distance)

    def _gain(self, loss: Loss, weight: float, chunks: Sequence[Chunk]) -> tuple[float, float, float]:
        """The mean gain with the loss, the standard error of its difference from the regular loss's, and the latter."""
        gains = self._gains(descent.combined_loss(loss, weight, self._task), chunks, self.distance)
        known = chunks is self._start
        return self._compare_gains(
            gains, self._regular_gains if known else self._gains_along_regular(chunks, self.distance)
        )

    def _compare_gains(self, gains: np.ndarray, regular: np.ndarray) -> tuple[float, float, float]:
        """Means and standard error of gains, see `_gain`, over the points that have both."""
        valid = np.isfinite(gains) & np.isfinite(regular)  # the metric may fail on points once they have moved
        self._check_enough(valid)
        gains, regular = gains[valid], regular[valid]
        error = float((gains - regular).std(ddof=1) / len(gains) ** 0.5)
        return float(gains.mean()), error, float(regular.mean())

    def _gains_along_regular(self, chunks: Sequence[Chunk], distance: float) -> np.ndarray:
        gains = self._gains(self._regular, chunks, distance)
        self._check_enough(np.isfinite(gains))
        return gains

    def _gains(self, of_points: point_losses.PointLosses, chunks: Sequence[Chunk], distance: float) -> np.ndarray:
        points = descent.descend(of_points, chunks, self._task, self._metric, self._device, distance)
        return descent.improvement(points, chunks, self._metric, self._labeller)

    def _check_enough(self, valid: np.ndarray) -> None:
        if valid.sum() < 2:
            raise LabellingError(f"metric {self._metric.name!r}: failed on nearly all points of the descent check")

    def _norms(self, of_points: point_losses.PointLosses) -> Tensor:
        """Norms of the gradient on validation points of mid quality."""
        return point_losses.gradient_norms(of_points, self._start, self._task, self._device)

    @cached_property
    def _regular_norms(self) -> Tensor:
        return self._norms(self._regular)
