"""Search spaces: TOML files that say which settings a search may choose."""

from __future__ import annotations

import dataclasses
import json
import math
import textwrap
import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import optuna

from autosurrogate import surrogates, tasks
from autosurrogate._utils.text import one_of
from autosurrogate.errors import SpaceError
from autosurrogate.rank_correlation.soft_ranks import METHODS
from autosurrogate.tasks import Task

TRAINING = {  # setting: type, least value, whether that value itself is allowed
    "n_steps": (int, 1, True),
    "batch_points": (int, 4, True),
    "learning_rate": (float, 0, False),
    "weight_decay": (float, 0, True),
    "penalty": (float, 0, True),
    "random_share": (float, 0, True),
    "window": (float, 0, False),
    "patience": (float, 0, False),
}
OPTIONAL = {"random_share", "window", "patience"}
RANGE_KEYS = {"low", "high", "log"}


@dataclasses.dataclass(frozen=True)
class Range:
    """A range of numbers, whole ones where both ends are."""

    low: float
    high: float
    log: bool = False


@dataclasses.dataclass(frozen=True)
class Choice:
    """One of several values."""

    options: tuple[Any, ...]


@dataclasses.dataclass(frozen=True)
class Space:
    """What may be chosen.

    Args:
        training: setting of `training.Settings` to fixed value, `Choice` or `Range`.
        soft_ranks: method to its settings.
        networks: network to the settings of its constructor.
    """

    training: Mapping[str, Any]
    soft_ranks: Mapping[str, Mapping[str, Any]]
    networks: Mapping[str, Mapping[str, Any]]

    def widest(self, task: Task, network: str) -> dict[str, Any]:
        """The settings of a network that give all the features any choice of the space has; of others, the first."""
        wide: dict[str, Any] = {name: _values(entry)[0] for name, entry in self.networks[network].items()}
        for name in surrogates.feature_settings(task, network):
            entry = self.networks[network].get(name)
            options = (
                entry.options if isinstance(entry, Choice) else (entry.high,) if isinstance(entry, Range) else (entry,)
            )
            if entry is None:
                continue
            if isinstance(options[0], list):
                wide[name] = sorted({value for option in options for value in option}, reverse=True)
            else:
                wide[name] = max(options)
        return wide

    def widest_networks(self, task: Task) -> dict[str, dict[str, Any]]:
        """Each network with its settings by `widest`."""
        return {network: self.widest(task, network) for network in self.networks}

    def parts(self, task: Task, network: str) -> list[dict[str, Any]]:
        """Settings that each give some of the features of `widest`: one for each value of its longest list, if any."""
        wide = self.widest(task, network)
        lists = [name for name in surrogates.feature_settings(task, network) if isinstance(wide.get(name), list)]
        if not lists:
            return []
        longest = max(lists, key=lambda name: len(wide[name]))
        return [{**wide, longest: [value]} for value in wide[longest]]

    def networks_in_turn(self) -> list[dict[str, Any]]:
        """Parameters of a trial each that fix its network, in the order of the file."""
        return [{"network": json.dumps(name)} for name in self.networks] if len(self.networks) > 1 else []

    def suggest(
        self, trial: optuna.Trial, *, recorded: bool
    ) -> tuple[dict[str, Any], str, dict[str, Any], str, dict[str, Any]]:
        """Choose by a trial: training settings, network and its settings, soft rank and its settings.

        Args:
            trial: the trial.
            recorded: whether there are recorded outputs, so that `random_share` matters.
        """
        asked = {name: entry for name, entry in self.training.items() if recorded or name != "random_share"}
        training = _suggest_all(trial, "", asked)
        network = _suggest(trial, "network", Choice(tuple(self.networks)))
        values = _suggest_all(trial, f"{network}.", self.networks[network])
        method = _suggest(trial, "soft_rank", Choice(tuple(self.soft_ranks)))
        return training, network, values, method, _suggest_all(trial, f"{method}.", self.soft_ranks[method])


def load(task: str, path: str | Path | None = None) -> Space:
    """Read a search space, the task's own if `path` is None.

    Raises:
        SpaceError: the file is not there, is no TOML, or holds an unknown key or an empty range or choice.
    """
    return parse(text_of(task, path), task, f"search space of {task}" if path is None else str(path))


def text_of(task: str, path: str | Path | None = None) -> str:
    """The text of a search space, the task's own if `path` is None.

    Raises:
        SpaceError: the file cannot be read.
    """
    if path is None and tasks.get(task).search_space:
        return textwrap.dedent(tasks.get(task).search_space)
    if path is None:
        return resources.files("autosurrogate.search_spaces").joinpath(f"{task}.toml").read_text(encoding="utf-8")
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as e:
        raise SpaceError(f"{path}: cannot read the search space: {e.strerror or e}; --space takes a TOML file") from e
    except UnicodeDecodeError as e:
        raise SpaceError(f"{path}: is not a text file in UTF-8; --space takes a TOML file") from e


def parse(text: str, task: str, name: str) -> Space:
    """Check and read the text of a search space; `name` stands in the messages."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as e:
        raise SpaceError(f"{name}: is not valid TOML: {e}") from e
    _known(name, "", tables, {"training", "soft_ranks", "networks"})
    for part in ("training", "networks"):
        if not isinstance(tables.get(part), dict) or not tables[part]:
            raise SpaceError(f"{name}: needs a table [{part}{'.NAME' if part == 'networks' else ''}] that is not empty")
    training = _entries(name, "training", tables["training"], set(TRAINING))
    missing = set(TRAINING) - OPTIONAL - set(training)
    if missing:
        raise SpaceError(f"{name}: [training] lacks {', '.join(sorted(missing))}")
    training = {key: _of_training(name, key, entry) for key, entry in training.items()}
    soft_ranks = tables.get("soft_ranks", {"pairwise": {"steepness": 8.0}})
    _known(name, "soft_ranks.", soft_ranks, set(METHODS))
    if not soft_ranks:
        raise SpaceError(f"{name}: [soft_ranks] is empty; name {' or '.join(METHODS)} in it, or leave it out")
    owner = tasks.get(task)
    _known(name, "networks.", tables["networks"], set(surrogates.networks(owner)))
    networks = {
        n: _entries(name, f"networks.{n}", t, set(surrogates.settings(owner, n))) for n, t in tables["networks"].items()
    }
    for network, entries in networks.items():
        _try_build(name, owner, network, entries)
    ranks = {m: _entries(name, f"soft_ranks.{m}", t, {"steepness", "batch_points"}) for m, t in soft_ranks.items()}
    for method, entries in ranks.items():
        if "steepness" not in entries:
            raise SpaceError(f"{name}: [soft_ranks.{method}] lacks steepness")
        _check_number(f"{name}: [soft_ranks.{method}] steepness", entries["steepness"], float, 0, False)
        if "batch_points" in entries:  # in place of that of [training]
            _check_number(
                f"{name}: [soft_ranks.{method}] batch_points", entries["batch_points"], *TRAINING["batch_points"]
            )
    return Space(training, ranks, networks)


def _known(name: str, where: str, table: Any, known: set[str]) -> None:
    if not isinstance(table, dict):
        raise SpaceError(f"{name}: {where.rstrip('.')} must be a table, got {table!r}")
    for key in table:
        if key not in known:
            raise SpaceError(f"{name}: unknown key {where}{key}; expected {one_of(key, sorted(known))}")


def _entries(name: str, where: str, table: Any, known: set[str]) -> dict[str, Any]:
    _known(name, f"{where}.", table, known)
    return {key: _entry(f"{name}: [{where}] {key}", value) for key, value in table.items()}


def _entry(where: str, value: Any) -> Any:
    """A fixed value, a `Choice` or a `Range`."""
    if isinstance(value, list):
        if not value:
            raise SpaceError(f"{where} is an empty choice; list one value or more")
        return Choice(tuple(value)) if len(value) > 1 else value[0]
    if isinstance(value, dict):
        unknown = set(value) - RANGE_KEYS
        if unknown or not {"low", "high"} <= set(value):
            raise SpaceError(f"{where} must be {{ low = …, high = … }}, perhaps with log = true; got {value}")
        found = Range(value["low"], value["high"], value.get("log", False))
        if not all(isinstance(v, int | float) and not isinstance(v, bool) for v in (found.low, found.high)):
            raise SpaceError(f"{where} needs numbers for low and high; got {value}")
        if not isinstance(found.log, bool):
            raise SpaceError(f"{where} needs true or false for log; got {found.log!r}")
        if not found.low < found.high:
            raise SpaceError(f"{where} is an empty range: low = {found.low} is not below high = {found.high}")
        if found.log and found.low <= 0:
            raise SpaceError(f"{where} has log = true, so low must be above 0; got low = {found.low}")
        return found
    return value


def _values(entry: Any) -> tuple[Any, ...]:
    """The values at the ends of an entry, or all of a choice."""
    if isinstance(entry, Choice):
        return entry.options
    return (entry.low, entry.high) if isinstance(entry, Range) else (entry,)


def _of_training(name: str, key: str, entry: Any) -> Any:
    """The entry, checked; a range of a real setting is real, also where its ends are written as whole numbers."""
    kind, least, inclusive = TRAINING[key]
    _check_number(f"{name}: [training] {key}", entry, kind, least, inclusive)
    if key in OPTIONAL and max(_values(entry)) > 1:
        raise SpaceError(f"{name}: [training] {key} is a share, at most 1; got {max(_values(entry))}")
    return (
        Range(float(entry.low), float(entry.high), entry.log) if isinstance(entry, Range) and kind is float else entry
    )


def _check_number(where: str, entry: Any, kind: type, least: float, inclusive: bool) -> None:
    for value in _values(entry):
        right_kind = isinstance(value, int) if kind is int else isinstance(value, int | float)
        if not right_kind or isinstance(value, bool):
            raise SpaceError(f"{where} must be {'a whole number' if kind is int else 'a number'}, got {value!r}")
        if not math.isfinite(value):
            raise SpaceError(f"{where} must be finite, got {value}")
        if value < least or (value == least and not inclusive):
            raise SpaceError(f"{where} must be {'at least' if inclusive else 'above'} {least}, got {value}")


def _try_build(name: str, task: Task, network: str, entries: Mapping[str, Any]) -> None:
    """Build the network with each end of each entry, so that a wrong type is found now and not in a trial."""
    first = {key: _values(entry)[0] for key, entry in entries.items()}
    for key, entry in entries.items():
        for value in _values(entry):
            _check_positive(f"{name}: [networks.{network}] {key}", value)
    for key, entry in {"": None, **entries}.items():
        for value in _values(entry):
            values = {**first, key: value} if key else first
            try:
                surrogates.build(task, "set", network, **values)
            except Exception as e:
                told = f"{key} = {value!r}" if key else f"{values}"
                raise SpaceError(f"{name}: [networks.{network}] cannot be built with {told}: {e}") from e


def _check_positive(where: str, value: Any) -> None:
    """Sizes, numbers of things and temperatures, or lists of them: a network of none, or at 0, can be built."""
    if value == []:
        raise SpaceError(f"{where} must not be an empty list")
    for number in value if isinstance(value, list) else [value]:
        if isinstance(number, bool) or (isinstance(number, int | float) and not 0 < number < math.inf):
            raise SpaceError(f"{where} must be above 0, got {value!r}")


def _suggest_all(trial: optuna.Trial, prefix: str, entries: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _suggest(trial, f"{prefix}{key}", entry) for key, entry in entries.items()}


def _suggest(trial: optuna.Trial, name: str, entry: Any) -> Any:
    if isinstance(entry, Choice):
        # As JSON, since Optuna keeps choices of plain values alone.
        return json.loads(trial.suggest_categorical(name, [json.dumps(option) for option in entry.options]))
    if isinstance(entry, Range):
        if isinstance(entry.low, int) and isinstance(entry.high, int):
            return trial.suggest_int(name, entry.low, entry.high, log=entry.log)
        return trial.suggest_float(name, entry.low, entry.high, log=entry.log)
    return entry
