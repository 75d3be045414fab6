"""The Optuna study of a run: a journal file that `optuna-dashboard` shows and a resumed run goes on from."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from autosurrogate.errors import OptionError
from autosurrogate.run.run_dir import RunDir
from autosurrogate.search import trial_record
from autosurrogate.search.selection import objective_value
from autosurrogate.search.trial_record import SCHEMA_VERSION, VERSION_KEY, TrialRecord

PRUNED = "pruned"  # user attribute of a pruned trial: why
EXPORTED = "exported_trial"  # user attribute of the study: the number of the trial whose loss was exported last


def open_study(run: RunDir, name: str, first_trials: Sequence[Mapping[str, Any]]) -> optuna.Study:
    """Create or resume the study of a run.

    A trial that an earlier session left running ends as completed or pruned if its training had ended, else as failed.

    Args:
        run: the run.
        name: of the study.
        first_trials: parameters of trials that the study begins with; those of a network already tried are left out.

    Raises:
        OptionError: the study was made by another version of this package.
    """
    check_version(run)
    study = optuna.create_study(
        study_name=name,
        storage=_storage(run),
        direction="maximize",
        pruner=optuna.pruners.NopPruner(),  # see `pruning`
        load_if_exists=True,
    )
    if VERSION_KEY not in study.user_attrs:
        study.set_user_attr(VERSION_KEY, SCHEMA_VERSION)
        with allowed_experiments():
            study.set_metric_names(["objective_value"])
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        tell(study, trial)
    planned = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED, TrialState.WAITING))
    tried = {(t.system_attrs.get("fixed_params") or t.params).get("network") for t in planned}
    for parameters in first_trials:
        if parameters["network"] not in tried:
            study.enqueue_trial(dict(parameters))
    return study


def check_version(run: RunDir) -> None:
    """Refuse a run whose study another version of this package has written; nothing is changed.

    Raises:
        OptionError: it has.
    """
    if not run.study.exists():
        return
    for summary in optuna.get_all_study_summaries(_storage(run), include_best_trial=False):
        if summary.n_trials and summary.user_attrs.get(VERSION_KEY) != SCHEMA_VERSION:
            raise other_version(run)


def other_version(run: RunDir) -> OptionError:
    """The error for a run that this version cannot resume."""
    return OptionError(f"{run.path}: was made by another version of autosurrogate; start a new run")


def outcome(trial: FrozenTrial) -> TrialState:
    """How a trial ended, also before the study knows: failed, unless its record or why it was pruned is written."""
    if trial.state != TrialState.RUNNING:
        return TrialState.FAIL if trial.state == TrialState.WAITING else trial.state
    if trial_record.is_written(trial):
        return TrialState.COMPLETE
    return TrialState.PRUNED if PRUNED in trial.user_attrs else TrialState.FAIL


def tell(study: optuna.Study, trial: FrozenTrial) -> None:
    """Tell the study how a trial ended that does not run any more."""
    state, value = outcome(trial), None
    if state == TrialState.COMPLETE:
        record = trial_record.read(trial)
        value = objective_value(record.order, record.gain_fraction)
    study.tell(trial.number, value, state=state)


def records(study: optuna.Study) -> list[TrialRecord]:
    """The records of the completed trials.

    Raises:
        OptionError: one is not valid.
    """
    return [trial_record.read(t) for t in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))]


def counts(study: optuna.Study) -> dict[str, int]:
    """Numbers of trials that were completed and pruned."""
    states = [trial.state for trial in study.get_trials(deepcopy=False)]
    return {"n_complete": states.count(TrialState.COMPLETE), "n_pruned": states.count(TrialState.PRUNED)}


def mark_exported(study: optuna.Study, number: int) -> None:
    """Mark a trial as the exported one, in the study's attributes: Optuna does not let those of ended trials change."""
    study.set_user_attr(EXPORTED, number)


@contextlib.contextmanager
def allowed_experiments() -> Iterator[None]:
    """Silence Optuna's warnings about its experimental features."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield


def _storage(run: RunDir) -> JournalStorage:
    return JournalStorage(JournalFileBackend(str(run.study)))
