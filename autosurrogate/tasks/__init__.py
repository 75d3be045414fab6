"""Kinds of prediction: one file for each task, which has the name of the task."""

from autosurrogate.tasks._base import Task
from autosurrogate.tasks._lookup import (
    VOCABULARY_PREFIX,
    get,
    is_user_task,
    name_with_vocabulary,
    name_without_vocabulary,
    names,
    register,
    unregister,
)
from autosurrogate.tasks._regimes import REGIMES, TRAINED, assign_regimes

__all__ = [
    "REGIMES",
    "TRAINED",
    "VOCABULARY_PREFIX",
    "Task",
    "assign_regimes",
    "get",
    "is_user_task",
    "name_with_vocabulary",
    "name_without_vocabulary",
    "names",
    "register",
    "unregister",
]
