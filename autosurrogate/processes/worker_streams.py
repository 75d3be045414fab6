"""The worker's end of its pipes: standard input for requests, standard output for replies, neither for prints."""

from __future__ import annotations

import functools
import os
import pickle
import queue
import signal
from typing import IO, Any


def taken(requests: IO[bytes]) -> IO[bytes]:
    """Where to write replies: standard output, which prints then no longer reach; standard input is emptied too."""
    replies = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1):
        os.dup2(nowhere, standard)
    if hasattr(os, "register_at_fork"):
        # A process that the worker forks must not hold the pipes: the parent would not see this one end.
        for fd in (requests.fileno(), replies.fileno()):
            os.register_at_fork(after_in_child=functools.partial(os.close, fd))
    return replies


def receive(requests: IO[bytes], inbox: queue.SimpleQueue[Any]) -> None:
    """Fill the inbox; end the process, whatever it is doing, when the parent is gone. For a thread of its own."""
    try:
        while True:
            inbox.put(pickle.load(requests))
    finally:
        if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
            os.killpg(os.getpid(), signal.SIGKILL)  # with the processes that were started here
        os._exit(1)


def send(replies: IO[bytes], word: Any) -> None:
    """Give the parent a word."""
    replies.write(pickle.dumps(word, pickle.HIGHEST_PROTOCOL))
    replies.flush()
