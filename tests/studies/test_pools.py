"""Pools that work for hours."""

from __future__ import annotations

import multiprocessing
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import pytest

from studies.pools import cancelling_on_error


def test_jobs_that_have_not_started_are_cancelled_when_the_block_raises() -> None:
    done: list[int] = []
    go_on = threading.Event()

    def work(n: int) -> None:
        go_on.wait(0.5)
        done.append(n)

    pool = ThreadPoolExecutor(1)
    jobs = [pool.submit(work, n) for n in range(5)]
    while not jobs[0].running():
        pass
    with pytest.raises(KeyboardInterrupt), cancelling_on_error(pool):
        raise KeyboardInterrupt
    go_on.set()
    pool.shutdown()
    assert done == [0]
    assert all(job.cancelled() for job in jobs[1:])


def test_all_is_done_otherwise() -> None:
    with ThreadPoolExecutor(2) as pool, cancelling_on_error(pool):
        jobs = [pool.submit(pow, 2, n) for n in range(5)]
    assert [job.result() for job in jobs] == [1, 2, 4, 8, 16]


def test_jobs_for_processes_of_one_job_each_are_cancelled_too() -> None:
    pool = ProcessPoolExecutor(2, multiprocessing.get_context("forkserver"), max_tasks_per_child=1)
    jobs = [pool.submit(int, "no number"), *(pool.submit(time.sleep, 0.2) for _ in range(50))]
    with pytest.raises(ValueError, match="no number"), pool, cancelling_on_error(pool):
        jobs[0].result()
    assert all(job.done() for job in jobs)
    assert sum(job.cancelled() for job in jobs) > 30
