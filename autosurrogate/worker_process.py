"""The parent's end of a worker: how its process is started, talked to, killed."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import sys
from typing import Any

from autosurrogate.metric import Metric

_ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)
_BOOTSTRAP = (
    "import os, pickle, sys\n"
    "requests = os.fdopen(os.dup(0), 'rb')\n"
    "sys.path[:] = pickle.load(requests)\n"
    "from autosurrogate.worker import serve\n"
    "serve(requests)\n"
)


def recipe(metric: Metric, timeout_s: float) -> bytes:
    """What a worker process is told first: where modules are, the metric, the time limit of a call."""
    paths = [path or os.getcwd() for path in sys.path]
    return pickle.dumps(paths) + pickle.dumps((pickle.dumps(metric), timeout_s))


class WorkerLost(Exception):
    """The process of a worker is gone."""


class WorkerProcess:
    """A process that runs `autosurrogate.worker.serve`, and the pipes to it.

    Its first message is a `recipe`, which it answers with `Ready`; the others are batches, answered with `Answers`.
    """

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _BOOTSTRAP],  # -P: no module of the working folder hides a standard one
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **_ONE_THREAD},
            process_group=0 if os.name == "posix" else None,  # Ctrl-C reaches the parent alone
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._requests, self._replies = self._process.stdin, self._process.stdout

    def send(self, message: bytes) -> None:
        """Give the process something to do.

        Raises:
            WorkerLost: it is gone.
        """
        try:
            self._requests.write(message)
            self._requests.flush()
        except (OSError, ValueError):
            raise WorkerLost from None

    def receive(self) -> Any:
        """Wait for its next word.

        Raises:
            WorkerLost: it is gone, and will say nothing more.
        """
        try:
            return pickle.load(self._replies)
        except (EOFError, OSError, ValueError, pickle.UnpicklingError):
            raise WorkerLost from None

    def kill(self) -> None:
        """End the process, with those that the metric started."""
        if self._process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.name == "posix":
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.kill()

    def bury(self) -> str:
        """Release what a killed process held, and say how it ended."""
        for pipe in (self._requests, self._replies):
            with contextlib.suppress(OSError):
                pipe.close()
        try:
            code = self._process.wait(timeout=10.0)
        except subprocess.TimeoutExpired:
            return "it does not react to being killed"
        with contextlib.suppress(ValueError):
            return f"signal {signal.Signals(-code).name}"
        return f"exit code {code}"
