"""Optuna's log level, which belongs to the caller."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

import optuna


@contextlib.contextmanager
def only_errors() -> Iterator[None]:
    """Let Optuna log only errors, and restore the caller's level afterwards."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(verbosity)
