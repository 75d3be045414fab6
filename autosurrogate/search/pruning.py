"""Which trials of a search are stopped early: those that are behind what others had reached by the same step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from optuna.trial import FrozenTrial, TrialState

N_UNPRUNED = 6  # trials
WARM_UP = 1 / 6  # of a trial's steps, in which it is not pruned
PERCENTILE = 25.0  # of what earlier trials had reached by a step; a trial below it is pruned


def thresholds(trials: Iterable[FrozenTrial], n_steps: int) -> dict[int, float]:
    """The rank correlations that a trial must have reached by its checkpoints; a trial below one is pruned.

    Args:
        trials: of the study; completed and pruned ones count.
        n_steps: of the trial that is about to begin.

    Returns:
        By step; empty as long as there are too few trials to compare with.
    """
    ended = [t for t in trials if t.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    if len(ended) < N_UNPRUNED:
        return {}
    steps = {step for t in ended for step in t.intermediate_values if step >= WARM_UP * n_steps}
    return {step: float(np.percentile(_reached(ended, step), PERCENTILE)) for step in steps}


def reason(correlations: Mapping[int, float], thresholds: Mapping[int, float]) -> str:
    """Why a trial was pruned, in words.

    >>> reason({20: 0.5, 40: 0.4}, {40: 0.75})
    'rank correlation 0.500 by step 40, below 0.750, which 75 % of earlier trials had reached'
    """
    step, best = max(correlations), max(correlations.values())
    return (
        f"rank correlation {best:.3f} by step {step}, below {thresholds[step]:.3f}, "
        f"which {100 - PERCENTILE:.0f} % of earlier trials had reached"
    )


def _reached(trials: Sequence[FrozenTrial], step: int) -> list[float]:
    """The best correlations by a step, of the trials that reached the step or were completed before it."""
    return [
        max(value for at, value in t.intermediate_values.items() if at <= step)
        for t in trials
        if (t.state == TrialState.COMPLETE and min(t.intermediate_values) <= step) or step in t.intermediate_values
    ]
