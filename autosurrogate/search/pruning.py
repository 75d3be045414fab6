"""Which trials of a search are ended early: those that lag behind what others had reached by then."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from optuna.trial import FrozenTrial, TrialState

N_UNPRUNED = 6  # trials
WARM_UP = 1 / 6  # of a trial's steps, in which it is not pruned
PRUNED_BELOW = 25.0  # percentile of what earlier trials had reached by the same step


def least(trials: Iterable[FrozenTrial], n_steps: int) -> dict[int, float]:
    """The rank correlation that a trial is to have reached by each of its checkpoints, or it is pruned.

    Args:
        trials: of the study; those count that were completed or pruned.
        n_steps: of the trial that is to begin.

    Returns:
        By step; empty as long as there are too few trials to compare with.
    """
    ended = [t for t in trials if t.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    if len(ended) < N_UNPRUNED:
        return {}
    steps = {step for t in ended for step in t.intermediate_values if step >= WARM_UP * n_steps}
    return {step: float(np.percentile(_reached(ended, step), PRUNED_BELOW)) for step in steps}


def _reached(trials: Sequence[FrozenTrial], step: int) -> list[float]:
    """The best correlations until a step, of the trials that got there or had ended well before."""
    return [
        max(value for at, value in t.intermediate_values.items() if at <= step)
        for t in trials
        if (t.state == TrialState.COMPLETE and min(t.intermediate_values) <= step) or step in t.intermediate_values
    ]
