"""Pools of processes or threads that work for hours."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import Executor


@contextlib.contextmanager
def giving_up(pool: Executor) -> Iterator[None]:
    """A block that, left by an exception, gives up what the pool has not begun, instead of waiting for it."""
    try:
        yield
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        raise
