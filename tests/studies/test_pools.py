"""Pools that work for hours."""

from __future__ import annotations

import multiprocessing
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import pytest

from studies.pools import giving_up


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


def test_processes_of_one_job_each_are_given_up_too() -> None:
    pool = ProcessPoolExecutor(2, multiprocessing.get_context("forkserver"), max_tasks_per_child=1)
    jobs = [pool.submit(int, "no number"), *(pool.submit(time.sleep, 0.2) for _ in range(50))]
    with pytest.raises(ValueError, match="no number"), pool, giving_up(pool):
        jobs[0].result()
    assert all(job.done() for job in jobs)
    assert sum(job.cancelled() for job in jobs) > 30
