"""The folder of a run, which holds everything that a resumed run continues from."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import itertools
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from autosurrogate._utils.files import write_json
from autosurrogate.errors import OptionError

try:
    import fcntl
except ImportError:  # on Windows, where two sessions of one run are not noticed
    fcntl = None  # type: ignore[assignment]

CONFIG = "config.json"
SPACE = "space.toml"
CLOCK = "clock.json"
LOCK = "lock"
EXPORTED = "exported"
SHARED = "shared-"  # prefix of folders whose files the processes of a session share


class RunDir:
    """Files of a run.

    Args:
        path: the folder.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    @property
    def labelled(self) -> Path:
        """Folder of the labelled points."""
        return self.path / "labelled"

    @property
    def study(self) -> Path:
        """Journal of the Optuna study; `optuna-dashboard` opens it."""
        return self.path / "study.journal"

    @property
    def space(self) -> Path:
        """The search space of the run, a copy of the file that it was read from."""
        return self.path / SPACE

    @property
    def tag(self) -> str:
        """A name for the run in names of files, different for each run."""
        return hashlib.sha256(str(self.path.absolute()).encode()).hexdigest()[:8]

    def trial(self, number: int) -> Path:
        """State dict of the surrogate that a trial ended with."""
        return self.path / "trials" / f"{number:04d}.pt"

    def create(self, config: dict[str, Any], space: str, spent_s: float = 0.0) -> None:
        """Create the folder, with the options of the run and the text of its search space.

        Args:
            config: the options.
            space: the text.
            spent_s: seconds of the budget that are already spent.

        Raises:
            OptionError: it exists and is not empty, or cannot be created.
        """
        try:
            if self.path.is_dir() and any(self.path.iterdir()):
                raise OptionError(
                    f"--run-dir {self.path}: is not empty; choose another, or continue its run with --resume"
                )
            (self.path / "trials").mkdir(parents=True, exist_ok=True)
            self.labelled.mkdir(exist_ok=True)
            self.space.write_text(space, encoding="utf-8")
            write_json(self.path / CLOCK, {"spent_s": round(spent_s, 2)})
            write_json(self.path / CONFIG, config)
        except OSError as e:
            raise OptionError(f"--run-dir {self.path}: cannot be created: {e.strerror or e}") from e

    def config(self) -> dict[str, Any]:
        """The options the run was started with.

        Raises:
            OptionError: there is no run in this folder.
        """
        try:
            return dict[str, Any](json.loads((self.path / CONFIG).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as e:
            raise OptionError(f"--resume {self.path}: is not the folder of a run (no readable {CONFIG} in it)") from e

    @contextlib.contextmanager
    def session(self) -> Iterator[None]:
        """Lock the run for this process, and repair what a killed process left.

        Raises:
            OptionError: another process holds the lock, or the folder cannot be written to.
        """
        try:
            file = (self.path / LOCK).open("a")
        except OSError as e:
            raise OptionError(f"{self.path}: the run cannot be written to: {e.strerror or e}") from e
        with file:
            if fcntl is not None:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # ends with the process, however that ends
                except BlockingIOError:
                    raise OptionError(f"{self.path}: another process works on this run; wait until it ends") from None
                except OSError:
                    pass  # a file system without locks
            self._repair_study()
            for folder in self.path.glob(f"{SHARED}*"):
                shutil.rmtree(folder, ignore_errors=True)
            yield

    def _repair_study(self) -> None:
        """Remove the lock of a killed process, for which Optuna would wait, and the line it was writing."""
        for lock in self.path.glob(f"{self.study.name}.lock*"):
            lock.unlink()
        if not self.study.exists():
            return
        content = self.study.read_bytes()
        n_whole = content.rfind(b"\n") + 1
        if n_whole < len(content):
            os.truncate(self.study, n_whole)

    def has_labels(self) -> bool:
        """Whether there are labelled points, which a resumed run need not label again."""
        return any(self.labelled.glob("*.safetensors"))

    def discard(self) -> None:
        """Remove what `create` created, for a run that has no results."""
        for folder in (self.labelled, self.path / "trials"):
            shutil.rmtree(folder, ignore_errors=True)
        for file in (*map(self.path.joinpath, (CONFIG, SPACE, CLOCK, LOCK)), self.study):
            file.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # the folder holds something else
            self.path.rmdir()
            if self.path.parent.name == "runs":
                self.path.parent.rmdir()

    @property
    def has_exported(self) -> bool:
        """Whether this run has started to write its loss, so that a file of that name is its own."""
        return (self.path / EXPORTED).exists()

    def note_export(self) -> None:
        """Record that files under the name of its loss are the run's own from now on."""
        (self.path / EXPORTED).touch()


def new_run_dir(name: str) -> Path:
    """A new empty folder in `runs` that no other fit uses, with the time in its name.

    Args:
        name: of the metric.
    """
    now = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    for n in itertools.count(1):
        path = Path("runs") / (f"{as_file_name(name)}-{now}" + (f"-{n}" if n > 1 else ""))
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError:
            pass  # `create` raises with the reason
        break
    return path


def as_file_name(name: str) -> str:
    """A metric's name with hyphens for what file names should not hold.

    >>> as_file_name("near?by=1")
    'near-by-1'
    """
    return re.sub(r"[^\w.-]+", "-", name)
