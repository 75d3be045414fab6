"""The worker's side of its pipes: requests on standard input, replies on standard output; prints go to neither."""

from __future__ import annotations

import functools
import os
import pickle
import queue
import signal
from typing import IO, Any


def take_stdout(requests: IO[bytes]) -> IO[bytes]:
    """Standard output, to write replies to. From then on prints are lost, and standard input is empty."""
    replies = os.fdopen(os.dup(1), "wb")
    devnull = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1):
        os.dup2(devnull, standard)
    if hasattr(os, "register_at_fork"):
        # A process that the worker forks must not hold the pipes, or the parent would not see the end of this process.
        for fd in (requests.fileno(), replies.fileno()):
            os.register_at_fork(after_in_child=functools.partial(os.close, fd))
    return replies


def receive(requests: IO[bytes], inbox: queue.SimpleQueue[Any]) -> None:
    """Put requests into the inbox; end the process, whatever it is doing, once the parent has ended. For a thread."""
    try:
        while True:
            inbox.put(pickle.load(requests))
    finally:
        if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
            os.killpg(os.getpid(), signal.SIGKILL)  # with the processes that were started here
        os._exit(1)


def send(replies: IO[bytes], message: Any) -> None:
    """Send the parent a message."""
    replies.write(pickle.dumps(message, pickle.HIGHEST_PROTOCOL))
    replies.flush()
