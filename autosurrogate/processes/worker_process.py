"""The parent's side of a worker: start its process, exchange messages with it, kill it."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import sys
from typing import Any

_ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)
#: New memory costs more than the work done in it, so glibc shall reuse what was freed.
_REUSE_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(2**32),
    "MALLOC_TRIM_THRESHOLD_": str(2**32),
    "MALLOC_TOP_PAD_": str(2**26),
}
_BOOTSTRAP = (
    "import importlib, os, pickle, sys\n"
    "requests = os.fdopen(os.dup(0), 'rb')\n"
    "sys.path[:] = pickle.load(requests)\n"
    "importlib.import_module(sys.argv[1]).serve(requests)\n"
)


def module_paths() -> bytes:
    """The first message to every worker: its `sys.path`."""
    return pickle.dumps([path or os.getcwd() for path in sys.path])


class WorkerLost(Exception):
    """The process of a worker has ended."""


class WorkerProcess:
    """A process that runs `serve` of a module, with one thread, and the pipes to it.

    Args:
        module: its `serve` is called with the pipe of requests, once `module_paths` was sent.
    """

    def __init__(self, module: str) -> None:
        self._process = subprocess.Popen(
            # -P: no module of the working folder hides a standard one
            [sys.executable, "-P", "-c", _BOOTSTRAP, module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **_ONE_THREAD, **_REUSE_MEMORY},
            process_group=0 if os.name == "posix" else None,  # Ctrl-C reaches the parent alone
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._requests, self._replies = self._process.stdin, self._process.stdout

    def send(self, message: bytes) -> None:
        """Send the process a message.

        Raises:
            WorkerLost: the process has ended.
        """
        try:
            self._requests.write(message)
            self._requests.flush()
        except (OSError, ValueError):
            raise WorkerLost from None

    def receive(self) -> Any:
        """Wait for its next message.

        Raises:
            WorkerLost: the process has ended, and all its messages were received.
        """
        try:
            return pickle.load(self._replies)
        except (EOFError, OSError, ValueError, pickle.UnpicklingError):
            raise WorkerLost from None

    def kill(self) -> None:
        """End the process, and the processes that it started."""
        if self._process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.name == "posix":
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.kill()

    def reap(self) -> str:
        """Release the resources of a killed process, and describe how it ended."""
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
