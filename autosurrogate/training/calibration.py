"""How fast a loss is to fall where, so that adding up losses adds up the metric."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from scipy.interpolate import PchipInterpolator
from scipy.optimize import isotonic_regression

from autosurrogate.surrogates._calibration import N_KNOTS
from autosurrogate.training.feature_table import FeatureTable
from autosurrogate.training.loop import losses

LEAST = 0.1  # of the mean slope, at least everywhere: where the metric is flat, a gradient is to lead out of there


def calibrate(loss: Any, tables: Sequence[FeatureTable], higher_is_better: bool) -> None:
    """Let a loss fall as the metric rises: by isotonic regression of the metric on the loss, made smooth.

    The order of the losses stays what it is. A loss that is nearly constant is left alone.

    Args:
        loss: trained, from `surrogates.build`.
        tables: points as its network sees them.
        higher_is_better: direction of the metric.
    """
    with torch.no_grad():
        found = losses(loss, tables).double().cpu().numpy()
    values = torch.cat([table.values for table in tables]).double().cpu().numpy()
    curve = rising(found, -values if higher_is_better else values)
    if curve is not None:
        loss.calibration.follow(*map(torch.from_numpy, curve))


def rising(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """A rising curve of the mean of y given x: knots, values and slopes there, each of shape (N_KNOTS,).

    The means of equally many points each are made to rise by isotonic regression, and the curve between them is a
    monotone cubic (Fritsch and Carlson, SIAM J. Numer. Anal. 1980).

    Args:
        x: shape (n,).
        y: shape (n,).

    Returns:
        None where x has too few values to be told apart, or y does not rise with it.
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
    values = values + LEAST * (values[-1] - values[0]) * (knots - knots[0]) / spread
    slopes = PchipInterpolator(knots, values).derivative()(knots)
    return knots, values, np.maximum(slopes, LEAST * (values[-1] - values[0]) / spread)
