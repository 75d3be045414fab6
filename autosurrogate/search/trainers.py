"""Where the trials of a search run: in parallel in processes of one thread each, or in this process.

Two threads make a step of a small network only about 1.3 times as fast, so further cores run further trials.
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
from autosurrogate.processes.worker_process import WorkerLost, WorkerProcess, module_paths
from autosurrogate.run.run_dir import SHARED
from autosurrogate.search.trainer_worker import Setup, pack
from autosurrogate.search.trial import Job, Outcome


class SetupNotShared(Exception):
    """The setup of the trials cannot be sent to other processes."""


class Trainers:
    """Runs trials; a context manager, which ends the running trials on exit.

    Args:
        setup: what all trials share.
        n_workers: how many trials run in parallel, each in its own process; a single one runs in this process.
        folder: of the files that the processes share; they are removed on exit.
        all_threads: whether a trial in this process may use all threads; with one thread its numbers are exactly
            those of another process.

    Raises:
        SetupNotShared: the setup cannot be sent to other processes.
    """

    def __init__(self, setup: Setup, n_workers: int, folder: Path, *, all_threads: bool = False) -> None:
        self.n_workers = n_workers
        self._n_threads = torch.get_num_threads() if all_threads else 1
        self._stack = contextlib.ExitStack()
        if n_workers == 1:
            self._runner = setup.runner()
            return
        self._lock = threading.Lock()  # guards the next two
        self._processes: set[WorkerProcess] = set()
        self._closed = False
        self._of_thread = threading.local()
        self._first_message = module_paths() + self._share(setup, folder)
        self._stack.callback(self._reap)
        self._threads = ThreadPoolExecutor(n_workers, "trainer")  # each serves one process
        self._stack.callback(self._threads.shutdown, cancel_futures=True)
        self._stack.callback(self._kill)

    def _share(self, setup: Setup, folder: Path) -> bytes:
        try:
            shared = Path(tempfile.mkdtemp(prefix=SHARED, dir=folder))
            self._stack.callback(shutil.rmtree, shared, ignore_errors=True)
            return pack(setup, shared)
        except Exception as error:  # a full disk, or whatever a user's task raises when it is pickled
            self._stack.close()
            raise SetupNotShared(one_line(error)) from error

    def __enter__(self) -> Trainers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._stack.close()

    def submit(self, job: Job) -> Future[Outcome]:
        """Start a trial; without processes, run it now in this process.

        The future raises `WorkerLost` if the trial's process was killed from outside, or whatever the trial raises.
        """
        if self.n_workers > 1:
            return self._threads.submit(self._run_in_process, job)
        future: Future[Outcome] = Future()
        n_threads = torch.get_num_threads()
        torch.set_num_threads(self._n_threads)
        try:
            future.set_result(self._runner.run(job))
        finally:
            torch.set_num_threads(n_threads)
        return future

    def _run_in_process(self, job: Job) -> Outcome:
        """Run a trial in the process of this thread."""
        process: WorkerProcess | None = getattr(self._of_thread, "process", None)
        try:
            if process is None:
                process = self._of_thread.process = self._new_process()
                process.send(self._first_message)
            process.send(pickle.dumps(job))
            reply = process.receive()
        except WorkerLost:
            self._of_thread.process = None
            if process is None:
                raise
            process.kill()
            raise WorkerLost(process.reap()) from None
        if isinstance(reply, BaseException):
            raise reply
        outcome: Outcome = reply
        return outcome

    def _new_process(self) -> WorkerProcess:
        with self._lock:
            if self._closed:
                raise WorkerLost("the search has ended")
            process = WorkerProcess("autosurrogate.search.trainer_worker")
            self._processes.add(process)
            return process

    def _kill(self) -> None:
        """Kill the processes; their threads then end, too."""
        with self._lock:
            self._closed = True
            for process in self._processes:
                process.kill()

    def _reap(self) -> None:
        """Release the resources of the killed processes."""
        for process in self._processes:
            process.reap()
