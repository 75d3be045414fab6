"""Looking up tasks: built-in ones by the names of their files, users' ones by the names that they declare."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
import sys
from pathlib import Path

from autosurrogate._utils import digests
from autosurrogate.errors import MetricError, RegistryError
from autosurrogate.tasks._base import Task

#: Start of the name of a sequence task with a vocabulary; the digest and the path of the vocabulary's file follow.
VOCABULARY_PREFIX = "sequence:"
_USER_TASKS: dict[str, Task] = {}


def names() -> list[str]:
    """The sorted names of all tasks, users' tasks included."""
    return sorted([*_built_in(), *_USER_TASKS])


def get(name: str) -> Task:
    """The task called `name`.

    Raises:
        MetricError: there is no task of this name.
        OptionError: the file of its vocabulary cannot be read.
    """
    if name in _USER_TASKS:
        return _USER_TASKS[name]
    if name.startswith(VOCABULARY_PREFIX):
        with_vocabulary: Task = importlib.import_module("autosurrogate.tasks._spelled_sequence").named(name)
        return with_vocabulary
    if name not in _built_in():
        near = difflib.get_close_matches(name, names(), 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise MetricError(f"unknown task {name!r}: expected one of {', '.join(names())}{hint}")
    task: Task = importlib.import_module(f"autosurrogate.tasks.{name}").TASK
    return task


def name_with_vocabulary(path: str | Path) -> str:
    """The name of the sequence task whose tokens are those of a vocabulary's file, with the file's present digest."""
    return f"{VOCABULARY_PREFIX}{digests.of_file(path)}:{Path(path).absolute()}"


def name_without_vocabulary(name: str) -> str:
    """The name of a task without its vocabulary, if it has one.

    >>> name_without_vocabulary("sequence:4f2a:/data/tokenizer.json")
    'sequence'
    >>> name_without_vocabulary("my:task")
    'my:task'
    """
    return VOCABULARY_PREFIX[:-1] if name.startswith(VOCABULARY_PREFIX) else name


def is_user_task(name: str) -> bool:
    """Whether a user registered the task."""
    return name in _USER_TASKS


def register(task: Task | type[Task]) -> str:
    """Register a user's task and return its name. A task of the same class replaces the one before.

    Raises:
        MetricError: it has no name, no views, no networks or no search space.
        RegistryError: another task has its name.
    """
    instance = task() if isinstance(task, type) else task
    who = f"task {type(instance).__qualname__} of {type(instance).__module__}"
    for attribute in ("name", "views", "networks", "search_space"):
        if not getattr(instance, attribute, None):
            raise MetricError(f"{who} has no {attribute!r}; set it as an attribute of the class")
    if instance.extras:
        raise MetricError(f"{who}: losses of users' tasks are called with preds and target only; leave out 'extras'")
    known = _USER_TASKS.get(instance.name)
    if instance.name.startswith(VOCABULARY_PREFIX):
        raise RegistryError(
            f"{who}: names that begin with {VOCABULARY_PREFIX!r} are reserved for vocabularies; choose another name"
        )
    if instance.name in _built_in() or (known is not None and _owner(known) != _owner(instance)):
        raise RegistryError(f"{who}: there is already another task called {instance.name!r}; choose another name")
    _USER_TASKS[instance.name] = instance
    return instance.name


def unregister(name: str) -> None:
    """Forget a user's task; nothing happens if there is none of this name."""
    _USER_TASKS.pop(name, None)


def _owner(task: Task) -> tuple[str, str]:
    """File and name of a task's class; they stay the same when a file or a notebook's cell is run again."""
    module = type(task).__module__
    return str(getattr(sys.modules.get(module), "__file__", None) or module), type(task).__qualname__


def _built_in() -> list[str]:
    return [m.name for m in pkgutil.iter_modules([str(Path(__file__).parent)]) if not m.name.startswith("_")]
