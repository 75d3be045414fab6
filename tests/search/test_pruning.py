from __future__ import annotations

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from autosurrogate.search import pruning


def trial(course: dict[int, float], state: TrialState = TrialState.COMPLETE) -> FrozenTrial:
    value = max(course.values()) if state == TrialState.COMPLETE else None
    return optuna.trial.create_trial(state=state, value=value, intermediate_values=course)


def test_nothing_is_pruned_while_there_are_few_trials_to_compare_with() -> None:
    few = [trial({20: 0.5, 40: 0.6})] * (pruning.N_UNPRUNED - 1)
    running = trial({20: 0.9}, TrialState.RUNNING)
    failed = trial({20: 0.9}, TrialState.FAIL)
    assert pruning.thresholds([*few, running, failed], 60) == {}
    assert set(pruning.thresholds([*few, few[0]], 60)) == {20, 40}


def test_a_trial_is_to_have_reached_what_the_worst_quarter_did_not() -> None:
    trials = [trial({20: 0.1 * k, 40: 0.1 * k + 0.05}) for k in range(9)]
    assert pruning.thresholds(trials, 60) == {20: pytest.approx(0.2), 40: pytest.approx(0.25)}


def test_the_best_so_far_counts_and_not_the_last() -> None:
    assert pruning.thresholds([trial({20: 0.7, 40: 0.3})] * 6, 60) == {20: 0.7, 40: 0.7}


def test_a_trial_that_ended_well_before_a_step_counts_there_and_one_that_was_pruned_does_not() -> None:
    ended, pruned = trial({20: 0.8}), trial({20: 0.1}, TrialState.PRUNED)
    long = trial({20: 0.2, 40: 0.6})
    found = pruning.thresholds([ended] * 3 + [pruned] * 3 + [long] * 3, 60)
    assert found[20] == pytest.approx(0.1)
    assert found[40] == pytest.approx(0.6)


def test_a_trial_is_not_pruned_in_its_first_steps() -> None:
    trials = [trial({20: 0.5, 100: 0.6, 120: 0.7})] * 6
    assert set(pruning.thresholds(trials, 600)) == {100, 120}
    assert set(pruning.thresholds(trials, 601)) == {120}


def test_trials_whose_first_step_is_later_are_not_compared_with() -> None:
    found = pruning.thresholds([trial({15: 0.5})] * 3 + [trial({20: 0.1, 40: 0.2})] * 3, 60)
    assert found == {15: 0.5, 20: pytest.approx(0.1), 40: pytest.approx(0.2)}
