"""Pools of processes or threads that work for hours."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import Executor


@contextlib.contextmanager
def giving_up(pool: Executor) -> Iterator[None]:
    """A block that, left by an exception, waits for what the pool has begun and gives up the rest."""
    try:
        yield
    except BaseException:
        pool.shutdown(cancel_futures=True)
        raise
