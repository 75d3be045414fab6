"""Pools that work for hours."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from benchmarks.pools import giving_up


def test_what_has_not_begun_is_given_up_when_the_block_is_left_by_an_exception() -> None:
    done: list[int] = []
    go_on = threading.Event()

    def work(n: int) -> None:
        go_on.wait(10)
        done.append(n)

    pool = ThreadPoolExecutor(1)
    jobs = [pool.submit(work, n) for n in range(5)]
    while not jobs[0].running():
        pass
    with pytest.raises(KeyboardInterrupt), giving_up(pool):
        raise KeyboardInterrupt
    go_on.set()
    pool.shutdown()
    assert done == [0]
    assert all(job.cancelled() for job in jobs[1:])


def test_all_is_done_otherwise() -> None:
    with ThreadPoolExecutor(2) as pool, giving_up(pool):
        jobs = [pool.submit(pow, 2, n) for n in range(5)]
    assert [job.result() for job in jobs] == [1, 2, 4, 8, 16]
