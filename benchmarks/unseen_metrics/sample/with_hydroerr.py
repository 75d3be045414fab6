"""Goodness of fit of hydrological models by HydroErr, the mean over the columns."""

from __future__ import annotations

from collections.abc import Callable

import HydroErr
import numpy as np

from autosurrogate import metric


def mean_over_columns(measure: Callable[..., float], preds: np.ndarray, target: np.ndarray) -> float:
    """The measure of each column, averaged."""
    return float(np.mean([measure(p, t) for p, t in zip(preds.T, target.T, strict=True)]))


@metric(task="values")
def kling_gupta_efficiency(preds: np.ndarray, target: np.ndarray) -> float:
    """1 less the distance of correlation, ratio of variation and ratio of means from 1."""
    return mean_over_columns(HydroErr.kge_2012, preds, target)


@metric(task="values")
def refined_index_of_agreement(preds: np.ndarray, target: np.ndarray) -> float:
    """Willmott's refined index."""
    return mean_over_columns(HydroErr.dr, preds, target)


@metric(task="values", level="set", higher_is_better=False)
def spectral_angle(preds: np.ndarray, target: np.ndarray) -> float:
    """The angle between the two columns as vectors, in radians."""
    return mean_over_columns(HydroErr.sa, preds, target)
