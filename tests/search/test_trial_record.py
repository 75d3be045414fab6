from __future__ import annotations

from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from autosurrogate.errors import OptionError
from autosurrogate.run.run_dir import RunDir
from autosurrogate.search import study, trial_record
from autosurrogate.search.selection import objective_value
from autosurrogate.search.trial_record import SCHEMA_VERSION, TrialRecord

N_ATTRIBUTES = len(fields(TrialRecord))  # the schema version instead of the number
FIRST = [{"network": '"margin"'}, {"network": '"confusion"'}]


def record(number: int) -> TrialRecord:
    return TrialRecord(number, "margin", {"temperatures": [0.3, 0.1]}, {"penalty": 0.1}, 0.97, 0.42, 0.77, 0.31, 0.02)


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    run = RunDir(tmp_path / "run")
    run.create({}, "")
    return run


def asked(run: RunDir) -> tuple[optuna.Study, optuna.Trial]:
    opened = study.open_study(run, "accuracy", FIRST)
    return opened, opened.ask()


def frozen(run: RunDir, number: int = 0) -> FrozenTrial:
    """A trial as a new process reads it."""
    return study.open_study(run, "accuracy", FIRST).trials[number]


def test_a_record_is_read_as_it_was_written_by_another_process(run: RunDir) -> None:
    _, trial = asked(run)
    trial_record.write(record(0), trial)
    read = frozen(run)  # which tells the study, too
    assert trial_record.read(read) == record(0)
    assert read.state == TrialState.COMPLETE
    assert read.value == objective_value(0.87, 0.31)


def test_a_dashboard_shows_the_fields_by_name(run: RunDir) -> None:
    opened, trial = asked(run)
    trial_record.write(record(0), trial)
    study.tell(opened, opened.trials[0])
    shown = {name for name in asdict(record(0)) if name != "number"}
    assert set(frozen(run).user_attrs) == shown | {"schema_version"}
    study.mark_exported(opened, 0)
    assert opened.user_attrs == {"schema_version": SCHEMA_VERSION, "exported_trial": 0}
    assert opened.metric_names == ["objective_value"]


class Killed:
    """A trial whose process is killed after so many attributes."""

    def __init__(self, trial: optuna.Trial, n_written: int) -> None:
        self._trial, self._n_left = trial, n_written

    def set_user_attr(self, name: str, value: Any) -> None:
        if self._n_left == 0:
            raise KeyboardInterrupt
        self._n_left -= 1
        self._trial.set_user_attr(name, value)


@pytest.mark.parametrize("n_written", range(N_ATTRIBUTES))
def test_a_trial_whose_process_is_killed_between_two_attributes_has_failed(run: RunDir, n_written: int) -> None:
    opened, trial = asked(run)
    killed: Any = Killed(trial, n_written)
    with pytest.raises(KeyboardInterrupt):
        trial_record.write(record(0), killed)
    assert len(opened.trials[0].user_attrs) == n_written
    assert frozen(run).state == TrialState.FAIL


def test_a_pruned_trial_stays_pruned_when_its_process_is_killed_before_the_study_is_told(run: RunDir) -> None:
    _, trial = asked(run)
    trial.report(0.3, 20)
    trial.set_user_attr(study.PRUNED, "rank correlation 0.300 by step 20, below 0.500")
    assert frozen(run).state == TrialState.PRUNED


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (
            "validation_spearman",
            "high",
            "key 'validation_spearman': expected a number, got 'high'",
        ),
        ("network_settings", 3, "key 'network_settings': expected an object, got 3"),
        ("mended", 0.3, "key 'mended' is unknown: expected one of number, "),
        ("schema_version", 1, "expected schema version 2, got 1; it was made by another version of autosurrogate"),
    ],
)
def test_an_attribute_that_does_not_fit_is_named(run: RunDir, name: str, value: Any, message: str) -> None:
    opened, trial = asked(run)
    trial_record.write(record(0), trial)
    trial.set_user_attr(name, value)
    with pytest.raises(OptionError) as raised:
        trial_record.read(opened.trials[0])
    assert str(raised.value).startswith(f"trial 0 of the study: {message}")
    assert str(raised.value).endswith("; start a new run")


def test_a_study_of_the_former_version_is_refused_and_stays_as_it_is(run: RunDir) -> None:
    former = optuna.create_study(
        study_name="accuracy",
        storage=optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(run.study))),
        direction="maximize",
    )
    attributes = {
        "correlation": 0.97, "near": 0.4, "mended": 0.3, "mended_error": 0.1, "network": "margin", "settings": {},
        "training": {},
    }  # fmt: skip
    former.add_trial(optuna.trial.create_trial(value=1.0, user_attrs=attributes))
    content = run.study.read_bytes()
    for refuse in (study.check_version, lambda run: study.open_study(run, "accuracy", FIRST)):
        with pytest.raises(OptionError) as raised:
            refuse(run)
        assert str(raised.value) == f"{run.path}: was made by another version of autosurrogate; start a new run"
        assert run.study.read_bytes() == content
