"""Fixtures that several tests share."""

from __future__ import annotations

import gc
import importlib.metadata
import os
import shutil
import signal
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator
from pathlib import Path

import program
import pytest
import torch
from filelock import FileLock
from hypothesis import HealthCheck, settings

# How long examples take is not what is tested.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


# Tests run side by side, and threads that wait for each other's cores take several times as long.
N_SIDE_BY_SIDE = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
torch.set_num_threads(max(1, (os.cpu_count() or 1) // N_SIDE_BY_SIDE))
# A process of many tests holds many objects, which the garbage collector would look through again and again.
gc.set_threshold(100_000, 50, 50)


@pytest.fixture
def two_threads() -> Iterator[None]:
    """Threads that a test of how many there are can miss."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(n_threads)


@pytest.fixture(scope="module", autouse=True)
def _own_path() -> Iterator[None]:
    """A metric's file leaves its folder on `sys.path`, where other modules' tests must not find it."""
    path = list(sys.path)
    yield
    sys.path[:] = path


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> None:
    """A shell's background jobs ignore SIGINT, and so would the processes that the tests start and interrupt."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real data; what needs it is skipped where it is not there."""
    folder = os.environ.get("AUTOSURROGATE_DATA")
    if not folder:
        pytest.skip("AUTOSURROGATE_DATA is not set")
    if not Path(folder).is_dir():
        pytest.skip(f"AUTOSURROGATE_DATA: {folder} is no folder")
    return Path(folder)


def make_once(tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder that the first process to ask for it makes, and all processes of this run of pytest read."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent  # all workers'
    folder, complete = base / name, base / f"{name}-complete"
    with FileLock(base / f"{name}.lock"):
        if not complete.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            complete.touch()
    return folder


@pytest.fixture(scope="session")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where the program has fitted `accuracy.pt` and printed `fit.txt`; nobody may change it."""

    def make(folder: Path) -> None:
        space = program.write(folder / "small.toml", program.SPACE)
        done = program.run("fit", "--metric", "accuracy", "--space", space, "--trials", 2, cwd=folder)
        assert (done.returncode, done.stderr) == (0, "")
        (folder / "fit.txt").write_text(done.stdout)

    return make_once(tmp_path_factory, "fitted", make)


@pytest.fixture(scope="session")
def python_with_torch_alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment that sees torch and what it needs of this one's packages, and nothing else."""
    python = "bin/python" if os.name == "posix" else "Scripts/python.exe"

    def make(folder: Path) -> None:
        venv.create(folder, symlinks=os.name == "posix", with_pip=False)
        where = "import sysconfig; print(sysconfig.get_path('purelib'))"
        command = [folder / python, "-c", where]
        site = Path(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())
        for name in program.needed("torch", set()):
            distribution = importlib.metadata.distribution(name)
            tops = {Path(file).parts[0] for file in distribution.files or () if Path(file).parts[0] not in ("..", ".")}
            for top in tops:
                source = Path(str(distribution.locate_file(top)))
                if source.exists() and not (site / top).exists():
                    (site / top).symlink_to(source, target_is_directory=source.is_dir())

    return make_once(tmp_path_factory, "torch-alone", make) / python
