"""The program as a user has it: a process with arguments, a folder and a small search space."""

from __future__ import annotations

import atexit
import contextlib
import functools
import importlib.metadata
import json
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch

from autosurrogate.outputs.recorder import Recorder

# Seconds, not minutes: one network with few features, few steps.
SPACE = """
[training]
n_steps = 60
batch_points = 32
learning_rate = 1e-2
weight_decay = 1e-4
penalty = 0.1

[networks.margin]
temperatures = [[0.3, 0.03]]
n_competitors = 3
width = 8
n_outputs = 4
"""

METRICS = """
import numpy as np

from autosurrogate import metric


@metric("macro_f1", task="classification", set_size=32)
def macro_f1(preds: np.ndarray, target: np.ndarray) -> float:
    found = []
    for c in np.unique(target):
        hits = ((preds == c) & (target == c)).sum()
        found.append(2 * hits / ((preds == c).sum() + (target == c).sum()))
    return float(np.mean(found))


@metric("rank", task="classification", level="sample", view="probabilities", higher_is_better=False)
def rank(preds: np.ndarray, target: int) -> float:
    return float((preds > preds[target]).sum())


@metric("nll", task="classification", view="probabilities", higher_is_better=False, set_size=16)
def nll(preds: np.ndarray, target: np.ndarray) -> float:
    return float(-np.log(preds[np.arange(len(target)), target]).mean())
"""

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "80"}


def command(*arguments: object) -> list[str]:
    """The program with these arguments, and one worker for a fit that does not say how many."""
    return [sys.executable, "-m", "autosurrogate", *_with_workers(arguments)]


def _with_workers(arguments: Sequence[object]) -> list[str]:
    texts = list(map(str, arguments))
    given = {"--workers", "--resume", "--help"}.intersection(texts)
    return [*texts, "--workers", "1"] if texts[:1] == ["fit"] and not given else texts


def run(
    *arguments: object, cwd: Path, timeout: float = 120, new_interpreter: bool = False, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run it to its end.

    Args:
        arguments: of the command line; a fit has one worker unless they say how many.
        cwd: its working folder.
        timeout: seconds until it is killed.
        new_interpreter: start a new interpreter. Else the process is forked from one that has imported the program
            already, which is seconds quicker and shares that one's hash seed.
        environment: variables to set.
    """
    if new_interpreter or not FORKS or any(name.startswith("PYTHON") for name in environment):
        return subprocess.run(
            command(*arguments), cwd=cwd, env={**ENVIRONMENT, **environment}, capture_output=True, text=True,
            timeout=timeout, check=False,
        )  # fmt: skip
    process = _warm_process(sys.executable, IMPORTED)
    return process.run("autosurrogate", None, _with_workers(arguments), cwd, {**ENVIRONMENT, **environment}, timeout)


def run_code(
    code: str,
    *arguments: object,
    cwd: Path,
    python: str | Path = sys.executable,
    imported: tuple[str, ...] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run Python code to its end, as `python -c` does.

    Args:
        code: the code.
        arguments: what `sys.argv` holds after "-c".
        cwd: its working folder.
        python: the interpreter.
        imported: what the process that is forked has imported; what a fit imports if None.
    """
    texts = list(map(str, arguments))
    if not FORKS:
        return subprocess.run(
            [python, "-c", code, *texts], cwd=cwd, env=environment_of(python), capture_output=True, text=True,
            timeout=120, check=False,
        )  # fmt: skip
    process = _warm_process(str(python), IMPORTED if imported is None else imported)
    return process.run(None, code, texts, cwd, environment_of(python), 120)


def environment_of(python: str | Path) -> dict[str, str]:
    """What processes of an interpreter get; where another one looks for modules is its own."""
    return {k: v for k, v in ENVIRONMENT.items() if k != "PYTHONPATH" or str(python) == sys.executable}


FORKS = sys.platform == "linux"
#: What a fit imports, to its end.
IMPORTED = (
    "torch._dynamo", "torch.export", "torch.export.passes", "scipy.stats", "optuna", "autosurrogate.cli.main",
    "autosurrogate.pipeline.fitting",
)  # fmt: skip


class WarmProcess:
    """The parent's end of a `warm_process.py`.

    Args:
        python: the interpreter.
        imported: modules to import before the first run.
    """

    def __init__(self, python: str, imported: tuple[str, ...]) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        script = Path(__file__).with_name("warm_process.py")
        self._server = subprocess.Popen(
            [python, script, str(theirs.fileno()), *imported],
            env=environment_of(python), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=[theirs.fileno()],
        )  # fmt: skip
        theirs.close()

    def run(
        self,
        module: str | None,
        code: str | None,
        arguments: list[str],
        cwd: Path,
        environment: dict[str, str],
        timeout: float,
    ) -> subprocess.CompletedProcess[str]:
        """Run a module, or else code, to its end."""
        request = json.dumps(
            {"module": module, "code": code, "arguments": arguments, "cwd": str(Path(cwd).resolve()),
             "environment": environment}
        )  # fmt: skip
        ends = [os.pipe() for _ in range(3)]
        with contextlib.ExitStack() as stack:
            stdout, stderr, reply = (stack.enter_context(os.fdopen(end, encoding="utf-8")) for end, _ in ends)
            nothing = stack.enter_context(open(os.devnull))
            theirs = [nothing.fileno(), *(end for _, end in ends)]
            try:
                socket.send_fds(self._control, [request.encode()], theirs)
            finally:
                for _, end in ends:
                    os.close(end)
            pid = int(reply.readline())
            timer = threading.Timer(timeout, os.kill, (pid, signal.SIGKILL))
            timer.start()
            with ThreadPoolExecutor(2) as readers:
                printed = [readers.submit(stream.read) for stream in (stdout, stderr)]
                texts = [future.result() for future in printed]
                exit_code = int(reply.readline())
            timed_out = not timer.is_alive()
            timer.cancel()
        if timed_out:
            raise subprocess.TimeoutExpired(arguments, timeout, *texts)
        return subprocess.CompletedProcess(arguments, exit_code, *texts)

    def close(self) -> None:
        """Let the process end."""
        self._control.close()
        self._server.wait()


@functools.cache
def _warm_process(python: str, imported: tuple[str, ...]) -> WarmProcess:
    process = WarmProcess(python, imported)
    atexit.register(process.close)
    return process


def write(path: Path, text: str) -> Path:
    """Write a text that is indented as the code around it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return path


def record(path: Path, n_rows: int, *, n_sources: int = 2, n_classes: int = 5, seed: int = 0) -> Path:
    """Recorded outputs of classifiers, one better than the other, `n_rows` of each."""
    generator = torch.Generator().manual_seed(seed)
    with Recorder(path, max_per_source=n_rows) as recorder:
        for source in range(n_sources):
            target = torch.randint(n_classes, (n_rows,), generator=generator)
            noise = torch.randn(n_rows, n_classes, generator=generator)
            sureness = 3 * torch.rand(n_rows, 1, generator=generator) * (source + 1)
            recorder(noise + sureness * torch.nn.functional.one_hot(target, n_classes), target, source=source)
    return path


def load(path: Path) -> Any:
    """An exported loss, as a user's program has it; TorchScript's own warning is not what the tests are about."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.load(str(path))  # type: ignore[no-untyped-call]


def needed(name: str, found: set[str]) -> set[str]:
    """The distributions that one needs to run, itself among them."""
    plain = re.sub(r"[-_.]+", "-", name).lower()
    if plain in found:
        return found
    try:
        requires = importlib.metadata.requires(name) or []
    except importlib.metadata.PackageNotFoundError:  # of another platform
        return found
    found.add(plain)
    for requirement in requires:
        if "extra ==" not in requirement:
            needed(re.split(r"[\s;<>=!~\[(]", requirement, maxsplit=1)[0], found)
    return found
