"""Reading and checking search spaces: TOML files that say which settings a search may choose."""

from __future__ import annotations

import math
import textwrap
import tomllib
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from autosurrogate import surrogates
from autosurrogate._utils.text import one_of
from autosurrogate.errors import SpaceError
from autosurrogate.rank_correlation.soft_ranks import METHODS
from autosurrogate.search.space import PENALTY, Choice, Range, Space, ends
from autosurrogate.tasks import Task


class Bounds(NamedTuple):
    """Which numbers a training setting takes.

    Args:
        kind: int or float.
        minimum: the smallest.
        inclusive: whether the minimum itself is allowed.
    """

    kind: type
    minimum: float
    inclusive: bool


TRAINING = {
    "n_steps": Bounds(int, 1, True),
    "batch_points": Bounds(int, 4, True),
    "learning_rate": Bounds(float, 0, False),
    "weight_decay": Bounds(float, 0, True),
    "penalty": Bounds(float, 0, True),
    "random_share": Bounds(float, 0, True),
    "window": Bounds(float, 0, False),
    "patience": Bounds(float, 0, False),
}
OPTIONAL = {"random_share", "window", "patience"}  # fractions, at most 1
STEEPNESS = Bounds(float, 0, False)
DEFAULT_SOFT_RANKS = {"pairwise": {"steepness": 8.0}}


def load(task: Task, path: str | Path | None = None) -> Space:
    """Read a search space, the task's own if `path` is None.

    Raises:
        SpaceError: the file cannot be read, is not TOML, or has an unknown key or a wrong value.
    """
    return parse(text_of(task, path), task, f"search space of {task.name}" if path is None else str(path))


def text_of(task: Task, path: str | Path | None = None) -> str:
    """The text of a search space, the task's own if `path` is None.

    Raises:
        SpaceError: the file cannot be read.
    """
    if path is None and task.search_space:
        return textwrap.dedent(task.search_space)
    if path is None:
        return resources.files("autosurrogate.search_spaces").joinpath(f"{task.name}.toml").read_text(encoding="utf-8")
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as e:
        raise SpaceError(f"{path}: cannot read the search space: {e.strerror or e}; --space takes a TOML file") from e
    except UnicodeDecodeError as e:
        raise SpaceError(f"{path}: is not a text file in UTF-8; --space takes a TOML file") from e


def parse(text: str, task: Task, name: str) -> Space:
    """Read and check the text of a search space.

    Args:
        text: TOML.
        task: whose networks it names.
        name: of the file, for messages.

    Raises:
        SpaceError: the text is not TOML, or has an unknown key or a wrong value.
    """
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as e:
        raise SpaceError(f"{name}: is not valid TOML: {e}") from e
    try:
        return _space(tables, task)
    except SpaceError as e:
        raise SpaceError(f"{name}: {e}") from e.__cause__


def _space(tables: dict[str, Any], task: Task) -> Space:
    _check_keys("", tables, {"training", "soft_ranks", "networks"})
    for key, shown in {"training": "training", "networks": "networks.NAME"}.items():
        if not isinstance(tables.get(key), dict) or not tables[key]:
            raise SpaceError(f"needs a table [{shown}] that is not empty")
    networks, penalties = _networks(tables["networks"], task)
    return Space(
        _training(tables["training"]), _soft_ranks(tables.get("soft_ranks", DEFAULT_SOFT_RANKS)), networks, penalties
    )


def _training(table: Any) -> dict[str, Any]:
    entries = _entries("training", table, TRAINING)
    missing = set(TRAINING) - OPTIONAL - set(entries)
    if missing:
        raise SpaceError(f"[training] lacks {', '.join(sorted(missing))}")
    return {key: _training_entry("training", key, entry) for key, entry in entries.items()}


def _training_entry(where: str, key: str, entry: Any) -> Any:
    """The entry, checked; a range of floats has floats as ends, also where the file has integers."""
    _check_number(f"[{where}] {key}", entry, TRAINING[key])
    if key in OPTIONAL and max(ends(entry)) > 1:
        raise SpaceError(f"[{where}] {key} must be at most 1, got {max(ends(entry))}")
    if isinstance(entry, Range) and TRAINING[key].kind is float:
        return Range(float(entry.low), float(entry.high), entry.log)
    return entry


def _networks(tables: Any, task: Task) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """The entries of each network's settings, and those of the penalties of networks that have their own."""
    _check_keys("networks.", tables, surrogates.networks(task))
    networks: dict[str, dict[str, Any]] = {}
    penalties: dict[str, Any] = {}
    for network, table in tables.items():
        where, settings = f"networks.{network}", surrogates.settings(task, network)
        entries = _entries(where, table, [*settings, PENALTY])
        if PENALTY in entries and PENALTY not in settings:  # in place of that of [training]
            penalties[network] = _training_entry(where, PENALTY, entries.pop(PENALTY))
        _check_network(task, network, entries)
        networks[network] = entries
    return networks, penalties


def _soft_ranks(tables: Any) -> dict[str, dict[str, Any]]:
    _check_keys("soft_ranks.", tables, METHODS)
    if not tables:
        raise SpaceError(f"[soft_ranks] is empty; name {' or '.join(METHODS)} in it, or leave it out")
    keys = ("steepness", "batch_points")
    soft_ranks = {method: _entries(f"soft_ranks.{method}", table, keys) for method, table in tables.items()}
    for method, entries in soft_ranks.items():
        if "steepness" not in entries:
            raise SpaceError(f"[soft_ranks.{method}] lacks steepness")
        _check_number(f"[soft_ranks.{method}] steepness", entries["steepness"], STEEPNESS)
        if "batch_points" in entries:  # in place of that of [training]
            _check_number(f"[soft_ranks.{method}] batch_points", entries["batch_points"], TRAINING["batch_points"])
    return soft_ranks


def _check_keys(prefix: str, table: Any, known: Iterable[str]) -> None:
    if not isinstance(table, dict):
        raise SpaceError(f"{prefix.rstrip('.')} must be a table, got {table!r}")
    for key in table:
        if key not in known:
            raise SpaceError(f"unknown key {prefix}{key}: {one_of(key, sorted(known))}")


def _entries(where: str, table: Any, known: Iterable[str]) -> dict[str, Any]:
    _check_keys(f"{where}.", table, known)
    return {key: _entry(f"[{where}] {key}", value) for key, value in table.items()}


def _entry(where: str, value: Any) -> Any:
    """A fixed value, a `Choice` or a `Range`."""
    if isinstance(value, dict):
        return _range(where, value)
    if isinstance(value, list):
        if not value:
            raise SpaceError(f"{where} is an empty choice; list one value or more")
        return Choice(tuple(value)) if len(value) > 1 else value[0]
    return value


def _range(where: str, table: Mapping[str, Any]) -> Range:
    if not {"low", "high"} <= set(table) <= {"low", "high", "log"}:
        raise SpaceError(f"{where} must be {{ low = …, high = … }}, perhaps with log = true; got {table}")
    low, high, log = table["low"], table["high"], table.get("log", False)
    if not all(isinstance(end, int | float) and not isinstance(end, bool) for end in (low, high)):
        raise SpaceError(f"{where} needs numbers for low and high; got {table}")
    if not isinstance(log, bool):
        raise SpaceError(f"{where} needs true or false for log; got {log!r}")
    if not low < high:
        raise SpaceError(f"{where} is an empty range: low = {low} is not below high = {high}")
    if log and low <= 0:
        raise SpaceError(f"{where} has log = true, so low must be above 0; got low = {low}")
    return Range(low, high, log)


def _check_number(where: str, entry: Any, bounds: Bounds) -> None:
    kind, minimum, inclusive = bounds
    for value in ends(entry):
        right_kind = isinstance(value, int) if kind is int else isinstance(value, int | float)
        if not right_kind or isinstance(value, bool):
            raise SpaceError(f"{where} must be {'a whole number' if kind is int else 'a number'}, got {value!r}")
        if not math.isfinite(value):
            raise SpaceError(f"{where} must be finite, got {value}")
        if value < minimum or (value == minimum and not inclusive):
            raise SpaceError(f"{where} must be {'at least' if inclusive else 'above'} {minimum}, got {value}")


def _check_network(task: Task, network: str, entries: Mapping[str, Any]) -> None:
    """Build the network with each end of each entry, so that a wrong type is an error now and not in a trial."""
    first = {key: ends(entry)[0] for key, entry in entries.items()}
    for key, entry in entries.items():
        for value in ends(entry):
            _check_positive(f"[networks.{network}] {key}", value)
    for key, entry in {"": None, **entries}.items():
        for value in ends(entry):
            values = {**first, key: value} if key else first
            try:
                surrogates.build(task, "set", network, **values)
            except Exception as e:
                settings = f"{key} = {value!r}" if key else f"{values}"
                raise SpaceError(f"[networks.{network}] cannot be built with {settings}: {e}") from e


def _check_positive(where: str, value: Any) -> None:
    """Sizes, counts and temperatures, or lists of them, must be positive: torch also builds a network of size 0."""
    if value == []:
        raise SpaceError(f"{where} must not be an empty list")
    for number in value if isinstance(value, list) else [value]:
        if isinstance(number, bool) or (isinstance(number, int | float) and not 0 < number < math.inf):
            raise SpaceError(f"{where} must be above 0, got {value!r}")
