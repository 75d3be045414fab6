"""Scores of forecasts by scoringrules."""

from __future__ import annotations

import numpy as np
import scoringrules

from autosurrogate import metric


@metric(task="values", higher_is_better=False)
def upper_quantile_loss(preds: np.ndarray, target: np.ndarray) -> float:
    """The quantile (pinball) loss at 0.9."""
    return float(scoringrules.quantile_score(target, preds, 0.9).mean())


@metric(task="classification", view="probabilities", higher_is_better=False)
def ranked_probability_score(preds: np.ndarray, target: np.ndarray) -> float:
    """Squared error of the cumulated probabilities of ordered classes."""
    return float(scoringrules.rps_score(target + 1, preds.astype(float)).mean())


@metric(task="scores", set_size=256)
def brier_skill_score(preds: np.ndarray, target: np.ndarray) -> float:
    """1 less the Brier score as a fraction of that of the base rate; at least -1."""
    rate = np.full(len(target), target.mean())
    reference = scoringrules.brier_score(target, rate).mean()
    return float(max(-1.0, 1 - scoringrules.brier_score(target, preds).mean() / max(reference, 1e-9)))
