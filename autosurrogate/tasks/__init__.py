"""Kinds of prediction: one file a task, found by the name of its file."""

from autosurrogate.tasks._base import Task
from autosurrogate.tasks._lookup import SPELLED, add, get, is_own, kind, names, spelled

__all__ = ["SPELLED", "Task", "add", "get", "is_own", "kind", "names", "spelled"]
