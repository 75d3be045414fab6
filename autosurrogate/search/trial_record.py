"""What a study keeps of a completed trial: the record that selection works on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.trial import FrozenTrial

from autosurrogate._utils.json_records import RecordError, from_plain, to_plain
from autosurrogate.errors import OptionError

SCHEMA_VERSION = 2
#: Attribute of a study, whose version all its trials have, and of a trial. Of a trial it is the last one that is
#: written: a trial without it is not complete, whatever else a killed process has written of it.
VERSION_KEY = "schema_version"


@dataclass(frozen=True)
class TrialRecord:
    """A completed trial. The fields but the number are Optuna user attributes of the trial, by the same names.

    Args:
        number: of the trial in its study, from 0.
        network: name of the network in the search space.
        network_settings: the network's settings.
        training_settings: the training settings and those of the soft rank.
        validation_spearman: rank correlation with the metric on validation points, in [-1, 1].
        similar_quality_spearman: the same within groups of points of similar quality, averaged over the groups.
        worst_somers_d: Somers' D on the kind of validation points that the loss orders worst: generated points of
            trained models, those of all other regimes, or recorded points; in [-1, 1].
        gain_fraction: what the metric gains in the descent check, as a fraction of what is missing to the best; with
            the loss beside the regular loss, on validation points.
        gain_fraction_error: standard error of its difference from the regular loss's.
    """

    number: int
    network: str
    network_settings: Mapping[str, Any]
    training_settings: Mapping[str, Any]
    validation_spearman: float
    similar_quality_spearman: float
    worst_somers_d: float
    gain_fraction: float
    gain_fraction_error: float

    @property
    def order(self) -> float:
        """How well the loss orders points, on the mean and at worst, in [-1, 1]: what selection goes by."""
        return (self.validation_spearman + self.worst_somers_d) / 2


def write(record: TrialRecord, trial: optuna.Trial) -> None:
    """Write a record to its running trial."""
    attributes = to_plain(record)
    del attributes["number"]
    for name, value in {**attributes, VERSION_KEY: SCHEMA_VERSION}.items():
        trial.set_user_attr(name, value)


def is_written(trial: FrozenTrial) -> bool:
    """Whether a trial's record is complete."""
    return VERSION_KEY in trial.user_attrs


def read(trial: FrozenTrial) -> TrialRecord:
    """Read and check the record of a completed trial.

    Raises:
        OptionError: the record has another schema version, lacks an attribute, or one has another type.
    """
    attributes = dict(trial.user_attrs)
    version = attributes.pop(VERSION_KEY, None)
    if version != SCHEMA_VERSION:
        raise OptionError(
            f"trial {trial.number} of the study: expected schema version {SCHEMA_VERSION}, got {version!r}; "
            "it was made by another version of autosurrogate; start a new run"
        )
    try:
        return from_plain(TrialRecord, {"number": trial.number, **attributes})
    except RecordError as error:
        raise OptionError(f"trial {trial.number} of the study: {error}; start a new run") from error
