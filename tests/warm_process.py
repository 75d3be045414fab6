"""A process that has imported what programs need, and forks itself for each run: a new process, seconds sooner.

    python warm_process.py FD [IMPORTED ...]

It imports first, then reads requests from the socket FD. For each it forks, and the child runs the request's module as
`python -m` does, or its code as `python -c` does, with its arguments, folder, environment and standard streams, to the
interpreter's usual end. The request's last file descriptor receives the child's number and, when it has ended, its exit
code.

It starts no thread, so that a fork of it is a whole process.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
import types
from typing import Any


def serve(control: socket.socket) -> dict[str, Any] | None:
    """Fork for each request. Returns the request in the child, and None in the parent when nobody can ask any more."""
    woken, wake = os.pipe()
    os.set_blocking(woken, False)
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake)
    replies: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([control, woken], [], [])
        if woken in ready:
            os.read(woken, 4096)
            for pid, status in ended():
                reply = replies.pop(pid)
                with contextlib.suppress(BrokenPipeError):  # it was waited for no longer
                    os.write(reply, f"{os.waitstatus_to_exitcode(status)}\n".encode())
                os.close(reply)
        if control in ready:
            message, fds, _, _ = socket.recv_fds(control, 2**20, 4)
            if not message:
                return None
            *streams, reply = fds
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                control.close()
                for standard, stream in enumerate(streams):
                    os.dup2(stream, standard)
                for fd in (woken, wake, reply, *replies.values(), *streams):
                    os.close(fd)
                request: dict[str, Any] = json.loads(message)
                return request
            for stream in streams:
                os.close(stream)
            replies[pid] = reply
            os.write(reply, f"{pid}\n".encode())


def ended() -> list[tuple[int, int]]:
    """The children that have ended since the last call, each with its status."""
    children = []
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            children.append((pid, status))
    return children


if __name__ == "__main__":
    for name in sys.argv[2:]:
        importlib.import_module(name)
    assert len(os.listdir("/proc/self/task")) == 1
    gc.freeze()  # what is there already is not looked through in every child
    request = serve(socket.socket(fileno=int(sys.argv[1])))
    if request is not None:
        os.chdir(request["cwd"])
        os.environ.clear()
        os.environ.update(request["environment"])
        if "numpy" in sys.modules:
            sys.modules["numpy"].random.seed()  # a new process starts with fresh entropy
        if request["module"] is not None:
            sys.argv = [request["module"], *request["arguments"]]
            sys.path[0] = request["cwd"]
            runpy.run_module(request["module"], run_name="__main__", alter_sys=True)
        else:
            sys.argv = ["-c", *request["arguments"]]
            sys.path[0] = ""
            main = sys.modules["__main__"] = types.ModuleType("__main__")
            exec(compile(request["code"], "<string>", "exec"), main.__dict__)
