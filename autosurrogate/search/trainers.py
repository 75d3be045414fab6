"""Where the trials of a search run: side by side in processes of one thread each, or in this process.

Two threads make a step of a small network about 1.3 times as quick, so cores are better spent on other trials.
"""

from __future__ import annotations

import contextlib
import pickle
import shutil
import tempfile
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

import torch

from autosurrogate._utils.text import one_line
from autosurrogate.processes.worker_process import WorkerLost, WorkerProcess, where_modules_are
from autosurrogate.run.run_dir import SHARED
from autosurrogate.search.trainer_worker import Setup, packed
from autosurrogate.search.trial import Job, Outcome


class NotShared(Exception):
    """What trials have in common cannot be given to other processes."""


class Trainers:
    """Runs trials; a context manager, which ends those that run.

    Args:
        setup: what the trials have in common.
        n_workers: how many run side by side, each in a process of its own; one runs in this process.
        folder: where the processes keep what they share, as long as they are there.
        all_threads: whether a trial that runs in this process may use all of its threads; else it comes to the very
            same as in another process.

    Raises:
        NotShared: there can be no processes.
    """

    def __init__(self, setup: Setup, n_workers: int, folder: Path, *, all_threads: bool = False) -> None:
        self.n_workers = n_workers
        self._n_threads = torch.get_num_threads() if all_threads else 1
        self._stack = contextlib.ExitStack()
        if n_workers == 1:
            self._runner = setup.runner()
            return
        self._changed = threading.Lock()  # guards the two that follow
        self._processes: set[WorkerProcess] = set()
        self._closed = False
        self._own = threading.local()
        self._greeting = where_modules_are() + self._shared(setup, folder)
        self._stack.callback(self._bury)
        self._threads = ThreadPoolExecutor(n_workers, "trainer")  # each feeds a process
        self._stack.callback(self._threads.shutdown, cancel_futures=True)
        self._stack.callback(self._kill)

    def _shared(self, setup: Setup, folder: Path) -> bytes:
        try:
            shared = Path(tempfile.mkdtemp(prefix=SHARED, dir=folder))
            self._stack.callback(shutil.rmtree, shared, ignore_errors=True)
            return packed(setup, shared)
        except Exception as error:  # a disk that is full, or whatever a task of one's own raises when it is pickled
            self._stack.close()
            raise NotShared(one_line(error)) from error

    def __enter__(self) -> Trainers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._stack.close()

    def submit(self, job: Job) -> Future[Outcome]:
        """Run a trial; if there are no processes, at once and here.

        The result raises `WorkerLost` if the trial's process was ended from outside, and whatever the trial raises.
        """
        if self.n_workers > 1:
            return self._threads.submit(self._ask, job)
        done: Future[Outcome] = Future()
        n_threads = torch.get_num_threads()
        torch.set_num_threads(self._n_threads)
        try:
            done.set_result(self._runner.run(job))
        finally:
            torch.set_num_threads(n_threads)
        return done

    def _ask(self, job: Job) -> Outcome:
        """Have a trial done by the process of this thread."""
        process: WorkerProcess | None = getattr(self._own, "process", None)
        try:
            if process is None:
                process = self._own.process = self._new()
                process.send(self._greeting)
            process.send(pickle.dumps(job))
            reply = process.receive()
        except WorkerLost:
            self._own.process = None
            if process is None:
                raise
            process.kill()
            raise WorkerLost(process.bury()) from None
        if isinstance(reply, BaseException):
            raise reply
        outcome: Outcome = reply
        return outcome

    def _new(self) -> WorkerProcess:
        with self._changed:
            if self._closed:
                raise WorkerLost("the search has ended")
            process = WorkerProcess("autosurrogate.search.trainer_worker")
            self._processes.add(process)
            return process

    def _kill(self) -> None:
        """End the processes; their threads hear of it and end, too."""
        with self._changed:
            self._closed = True
            for process in self._processes:
                process.kill()

    def _bury(self) -> None:
        """Release what they held."""
        for process in self._processes:
            process.bury()
