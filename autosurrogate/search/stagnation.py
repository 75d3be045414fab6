"""Whether more trials would help: a search ends when its later half has gained next to nothing."""

from __future__ import annotations

from collections.abc import Sequence

from optuna.trial import FrozenTrial, TrialState

MIN_TRIALS = 48  # that have ended before a search may end by itself
MIN_RISE = 0.02  # of the objective value: 0.01 of the order, or 2 % of the regular loss's gain


def late_rise(trials: Sequence[FrozenTrial]) -> float | None:
    """By how much the later half of the ended trials has raised the best objective value.

    Twice as many trials raise it by about as much again, as long as it rises with the logarithm of their number.

    Args:
        trials: of the study, in order; only those that the study knows as completed or pruned count.

    Returns:
        0 or more; None while fewer than `MIN_TRIALS` have ended, or none of the first half was completed.
    """
    ended = [trial for trial in trials if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    first_half = _best(ended[: len(ended) // 2])
    if len(ended) < MIN_TRIALS or first_half is None:
        return None
    best = _best(ended)
    assert best is not None, "a trial of the first half is completed"
    return best - first_half


def has_stagnated(trials: Sequence[FrozenTrial]) -> bool:
    """Whether the later half has raised the best objective value by less than `MIN_RISE`."""
    rise = late_rise(trials)
    return rise is not None and rise < MIN_RISE


def _best(trials: Sequence[FrozenTrial]) -> float | None:
    return max(
        (trial.value for trial in trials if trial.state == TrialState.COMPLETE and trial.value is not None),
        default=None,
    )
