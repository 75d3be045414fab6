"""A search space: which settings a search may choose, and their choice by a trial."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import optuna

from autosurrogate import surrogates
from autosurrogate.tasks import Task

PENALTY = "penalty"


@dataclasses.dataclass(frozen=True)
class Range:
    """A range of numbers, integers where both ends are."""

    low: float
    high: float
    log: bool = False


@dataclasses.dataclass(frozen=True)
class Choice:
    """One of several values."""

    options: tuple[Any, ...]


@dataclasses.dataclass(frozen=True)
class Suggestion:
    """The settings of a trial.

    Args:
        network: name of the network.
        network_settings: of its constructor.
        training_settings: of `training.loop.Settings`.
    """

    network: str
    network_settings: dict[str, Any]
    training_settings: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Space:
    """What may be chosen. An entry is a fixed value, a `Choice` or a `Range`.

    Args:
        training: setting of `training.loop.Settings` to its entry.
        soft_ranks: method to the entries of its settings.
        networks: network to the entries of its constructor's settings.
        penalties: network to the entry of its gradient penalty, in place of that of `training`.
    """

    training: Mapping[str, Any]
    soft_ranks: Mapping[str, Mapping[str, Any]]
    networks: Mapping[str, Mapping[str, Any]]
    penalties: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def suited(self, task: Task, view: str, level: str) -> Space:
        """The space without networks that are built for metrics of other views or levels; as it is, if all are."""
        classes = surrogates.networks(task)
        suited = {
            name: entries
            for name, entries in self.networks.items()
            if level in getattr(classes[name], "VIEWS", {view: (level,)}).get(view, ())
        }
        return dataclasses.replace(self, networks=suited or self.networks)

    def widest(self, task: Task, network: str) -> dict[str, Any]:
        """The settings of a network with which it has the features of every choice; of other settings, the first."""
        wide: dict[str, Any] = {name: ends(entry)[0] for name, entry in self.networks[network].items()}
        for name in surrogates.feature_settings(task, network):
            entry = self.networks[network].get(name)
            if entry is None:
                continue
            options = entry.options if isinstance(entry, Choice) else ends(entry)[-1:]
            if isinstance(options[0], list):
                wide[name] = sorted({value for option in options for value in option}, reverse=True)
            else:
                wide[name] = max(options)
        return wide

    def widest_networks(self, task: Task) -> dict[str, dict[str, Any]]:
        """Each network with its settings by `widest`."""
        return {network: self.widest(task, network) for network in self.networks}

    def feature_parts(self, task: Task, network: str) -> list[dict[str, Any]]:
        """Settings that each give some of the features of `widest`: one for each value of its longest list, if any."""
        wide = self.widest(task, network)
        lists = [name for name in surrogates.feature_settings(task, network) if isinstance(wide.get(name), list)]
        if not lists:
            return []
        longest = max(lists, key=lambda name: len(wide[name]))
        return [{**wide, longest: [value]} for value in wide[longest]]

    def networks_in_turn(self) -> list[dict[str, Any]]:
        """Optuna parameters of a trial for each network, in the order of the file; empty if there is one network."""
        return [{"network": json.dumps(name)} for name in self.networks] if len(self.networks) > 1 else []

    def suggest(self, trial: optuna.Trial, *, recorded: bool) -> Suggestion:
        """Choose the settings of a trial.

        Args:
            trial: the trial.
            recorded: whether there are recorded outputs, so that `random_share` matters.
        """
        network = _suggest(trial, "network", Choice(tuple(self.networks)))
        left_out = set() if recorded else {"random_share"}
        own_training = {PENALTY: self.penalties[network]} if network in self.penalties else {}
        entries = {name: entry for name, entry in self.training.items() if name not in {*left_out, *own_training}}
        training = {**_suggest_all(trial, "", entries), **_suggest_all(trial, f"{network}.", own_training)}
        network_settings = _suggest_all(trial, f"{network}.", self.networks[network])
        method = _suggest(trial, "soft_rank", Choice(tuple(self.soft_ranks)))
        soft_rank = _suggest_all(trial, f"{method}.", self.soft_ranks[method])
        return Suggestion(network, network_settings, {**training, **soft_rank, "soft_rank": method})


def ends(entry: Any) -> tuple[Any, ...]:
    """The ends of a range, all options of a choice, or the fixed value."""
    if isinstance(entry, Choice):
        return entry.options
    return (entry.low, entry.high) if isinstance(entry, Range) else (entry,)


def _suggest_all(trial: optuna.Trial, prefix: str, entries: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _suggest(trial, f"{prefix}{key}", entry) for key, entry in entries.items()}


def _suggest(trial: optuna.Trial, name: str, entry: Any) -> Any:
    if isinstance(entry, Choice):
        # As JSON, since Optuna stores only choices of plain values.
        return json.loads(trial.suggest_categorical(name, [json.dumps(option) for option in entry.options]))
    if isinstance(entry, Range):
        if isinstance(entry.low, int) and isinstance(entry.high, int):
            return trial.suggest_int(name, entry.low, entry.high, log=entry.log)
        return trial.suggest_float(name, entry.low, entry.high, log=entry.log)
    return entry
