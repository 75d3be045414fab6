"""Errors of forecasts by sktime."""

from __future__ import annotations

import numpy as np
from sktime.performance_metrics.forecasting import (
    geometric_mean_absolute_error,
    mean_asymmetric_error,
    mean_linex_error,
)

from autosurrogate import metric


@metric(task="values", higher_is_better=False)
def asymmetric_error(preds: np.ndarray, target: np.ndarray) -> float:
    """Absolute error of too large predictions, squared error of too small ones, three times as dear."""
    return float(
        mean_asymmetric_error(
            target, preds, left_error_function="absolute", right_error_function="squared", right_error_penalty=3.0
        )
    )


@metric(task="values", higher_is_better=False)
def linex_error(preds: np.ndarray, target: np.ndarray) -> float:
    """Linear-exponential error: exponential on one side, nearly linear on the other."""
    return float(mean_linex_error(target, preds, a=1.5))


@metric(task="values", higher_is_better=False)
def geometric_absolute_error(preds: np.ndarray, target: np.ndarray) -> float:
    """The geometric mean of absolute errors, which the smallest ones decide."""
    return float(geometric_mean_absolute_error(target, preds))
