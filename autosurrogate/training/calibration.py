"""The slope of a loss, so that a sum of losses stands for a sum of the metric."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy.interpolate import PchipInterpolator
from scipy.optimize import isotonic_regression

from autosurrogate.surrogates import Loss
from autosurrogate.surrogates._calibration import N_KNOTS
from autosurrogate.training.feature_table import FeatureTable
from autosurrogate.training.loop import losses

MIN_SLOPE = 0.1  # of the mean slope, everywhere: a gradient must lead out of where the metric is flat


def calibrate(loss: Loss, tables: Sequence[FeatureTable], higher_is_better: bool) -> None:
    """Let a loss fall as the metric rises: by isotonic regression of the metric on the loss, smoothed.

    The order of the losses does not change. A loss that is nearly constant is left as it is.

    Args:
        loss: trained, from `surrogates.build`.
        tables: points as its network sees them.
        higher_is_better: direction of the metric.
    """
    with torch.no_grad():
        loss_values = losses(loss, tables).double().cpu().numpy()
    values = torch.cat([table.values for table in tables]).double().cpu().numpy()
    curve = rising(loss_values, -values if higher_is_better else values)
    if curve is not None:
        loss.calibration.follow(*map(torch.from_numpy, curve))


def rising(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """A rising curve of the mean of y given x: knots, values and slopes there, each of shape (N_KNOTS,).

    The means of groups of equally many points are fitted by isotonic regression, and the curve between them is a
    monotone cubic (Fritsch and Carlson, SIAM J. Numer. Anal. 1980).

    Args:
        x: shape (n,).
        y: shape (n,).

    Returns:
        None where x has too few different values, or y does not rise with it.
    """
    if len(x) < N_KNOTS:
        return None
    groups = np.array_split(np.argsort(x, kind="stable"), N_KNOTS)
    knots = np.array([x[group].mean() for group in groups])
    spread = knots[-1] - knots[0]
    if not np.isfinite(spread) or (np.diff(knots) <= 1e-4 * spread).any():
        return None
    values = isotonic_regression([y[group].mean() for group in groups]).x
    if not values[-1] > values[0]:
        return None
    values = values + MIN_SLOPE * (values[-1] - values[0]) * (knots - knots[0]) / spread
    slopes = PchipInterpolator(knots, values).derivative()(knots)
    return knots, values, np.maximum(slopes, MIN_SLOPE * (values[-1] - values[0]) / spread)
