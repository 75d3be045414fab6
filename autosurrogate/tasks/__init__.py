"""Kinds of prediction: one file a task, found by the name of its file."""

from __future__ import annotations

import difflib
import importlib
import pkgutil

from autosurrogate.errors import MetricError
from autosurrogate.tasks._base import Task

__all__ = ["Task", "get", "names"]


def names() -> list[str]:
    """The names of all tasks, sorted."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))


def get(name: str) -> Task:
    """The task called `name`.

    Raises:
        MetricError: there is none of that name.
    """
    if name not in names():
        near = difflib.get_close_matches(name, names(), 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise MetricError(f"unknown task {name!r}: expected one of {', '.join(names())}{hint}")
    task: Task = importlib.import_module(f"{__name__}.{name}").TASK
    return task
