"""Finding tasks: those that come with the package by the names of their files, those of users by their own."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
import sys
from pathlib import Path

from autosurrogate._utils import digests
from autosurrogate.errors import MetricError, RegistryError
from autosurrogate.tasks._base import Task

__all__ = ["SPELLED", "Task", "add", "get", "is_own", "kind", "names", "spelled"]

#: What the name of the task of sequences of one vocabulary begins with; the file's digest and path follow.
SPELLED = "sequence:"
_OWN: dict[str, Task] = {}


def names() -> list[str]:
    """The names of all tasks, sorted, those of users among them."""
    return sorted([*_built_in(), *_OWN])


def get(name: str) -> Task:
    """The task called `name`.

    Raises:
        MetricError: there is none of that name.
        OptionError: the vocabulary that it names cannot be read.
    """
    if name in _OWN:
        return _OWN[name]
    if name.startswith(SPELLED):
        of_one: Task = importlib.import_module("autosurrogate.tasks._spelled_sequence").named(name)
        return of_one
    if name not in _built_in():
        near = difflib.get_close_matches(name, names(), 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise MetricError(f"unknown task {name!r}: expected one of {', '.join(names())}{hint}")
    task: Task = importlib.import_module(f"autosurrogate.tasks.{name}").TASK
    return task


def spelled(path: str | Path) -> str:
    """The name of the task of sequences of the tokens of a vocabulary's file, as it is now."""
    return f"{SPELLED}{digests.of_file(path)}:{Path(path).absolute()}"


def kind(name: str) -> str:
    """The name of a task, without the vocabulary if it is of one.

    >>> kind("sequence:4f2a:/data/tokenizer.json"), kind("sequence"), kind("my:task")
    ('sequence', 'sequence', 'my:task')
    """
    return SPELLED[:-1] if name.startswith(SPELLED) else name


def is_own(name: str) -> bool:
    """Whether a task is a user's."""
    return name in _OWN


def add(task: Task | type[Task]) -> str:
    """Make a task of a user known under its name, and return that; the latest of the same class counts.

    Raises:
        MetricError: it has no name, no views, no networks or no search space.
        RegistryError: another task has its name.
    """
    made = task() if isinstance(task, type) else task
    who = f"task {type(made).__qualname__} of {type(made).__module__}"
    for attribute in ("name", "views", "networks", "search_space"):
        if not getattr(made, attribute, None):
            raise MetricError(f"{who} has no {attribute!r}; a task of one's own says it as an attribute of its class")
    if made.extras:
        raise MetricError(
            f"{who}: losses of one's own tasks are called with preds and target alone; leave out 'extras'"
        )
    known = _OWN.get(made.name)
    if made.name.startswith(SPELLED):
        raise RegistryError(f"{who}: names that begin with {SPELLED!r} are kept for vocabularies; give it another")
    if made.name in _built_in() or (known is not None and _owner(known) != _owner(made)):
        raise RegistryError(f"{who}: there is another task called {made.name!r}; give it a name of its own")
    _OWN[made.name] = made
    return made.name


def _owner(task: Task) -> tuple[str, str]:
    """File and name of a task's class; a file or a notebook's cell may be run again."""
    module = type(task).__module__
    return str(getattr(sys.modules.get(module), "__file__", None) or module), type(task).__qualname__


def _built_in() -> list[str]:
    return [m.name for m in pkgutil.iter_modules([str(Path(__file__).parent)]) if not m.name.startswith("_")]
