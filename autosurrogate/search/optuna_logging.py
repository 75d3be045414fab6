"""Optuna's log messages, which belong to whoever calls this program."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

import optuna


@contextlib.contextmanager
def only_errors() -> Iterator[None]:
    """Optuna logs errors alone, and afterwards what the caller had set."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(verbosity)
