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

__all__ = [
    "VOCABULARY_PREFIX",
    "Task",
    "get",
    "is_user_task",
    "name_with_vocabulary",
    "name_without_vocabulary",
    "names",
    "register",
    "unregister",
]
