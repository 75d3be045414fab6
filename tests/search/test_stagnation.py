from __future__ import annotations

from optuna.trial import FrozenTrial, TrialState, create_trial

from autosurrogate.search.stagnation import MIN_RISE, MIN_TRIALS, has_stagnated, late_rise


def complete(value: float) -> FrozenTrial:
    return create_trial(value=value)


PRUNED, FAILED, RUNNING = (
    create_trial(state=state) for state in (TrialState.PRUNED, TrialState.FAIL, TrialState.RUNNING)
)
HALF = MIN_TRIALS // 2


def test_a_search_whose_later_half_gains_little_has_stagnated() -> None:
    level = [complete(2.0)] * (MIN_TRIALS - 1)
    assert not has_stagnated(level)
    assert has_stagnated([*level, complete(2.0 + MIN_RISE / 2)])
    assert not has_stagnated([*level, complete(2.0 + 2 * MIN_RISE)])
    assert late_rise([*level, complete(2.5)]) == 0.5


def test_a_rise_in_the_first_half_is_no_gain_of_the_later_one() -> None:
    assert has_stagnated([complete(1.0), *[complete(2.0)] * (MIN_TRIALS - 1)])


def test_pruned_trials_count_and_others_do_not() -> None:
    assert has_stagnated([complete(2.0), *[PRUNED] * (MIN_TRIALS - 1)])
    assert not has_stagnated([complete(2.0), *[FAILED, RUNNING] * MIN_TRIALS])


def test_nothing_is_said_of_a_search_whose_first_half_has_no_loss() -> None:
    assert late_rise([*[PRUNED] * HALF, *[complete(2.0)] * HALF]) is None
