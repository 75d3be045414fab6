"""Pools of processes or threads that work for hours."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import Executor


@contextlib.contextmanager
def cancelling_on_error(pool: Executor) -> Iterator[None]:
    """If the block raises: wait for the jobs that run, and cancel the others."""
    try:
        yield
    except BaseException:
        pool.shutdown(cancel_futures=True)
        raise
