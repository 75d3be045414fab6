"""The folder of a run: its options, its clock, and everything that a resumed run goes on from."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from autosurrogate._utils.files import write_json
from autosurrogate.errors import OptionError

try:
    import fcntl
except ImportError:  # not on Windows, where nothing tells two sessions of one run from another
    fcntl = None  # type: ignore[assignment]

CONFIG = "config.json"
SPACE = "space.toml"
CLOCK = "clock.json"
LOCK = "lock"
EXPORTED = "exported"
SHARED = "shared-"  # what folders begin with whose files processes share, while there is a session


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
        """The search space of the run, whatever became of the file it was read from."""
        return self.path / SPACE

    @property
    def tag(self) -> str:
        """What tells the run from others, as a part of names of files."""
        return hashlib.sha256(str(self.path.absolute()).encode()).hexdigest()[:8]

    def trial(self, number: int) -> Path:
        """The surrogate that a trial ended with."""
        return self.path / "trials" / f"{number:04d}.pt"

    def create(self, config: dict[str, Any], space: str, spent_s: float = 0.0) -> None:
        """Make the folder, with the options of the run and the text of its search space.

        Args:
            config: the options.
            space: the text.
            spent_s: seconds of the budget that are spent already.

        Raises:
            OptionError: it exists and is not empty, or cannot be made.
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
            raise OptionError(f"--run-dir {self.path}: cannot be made: {e.strerror or e}") from e

    def config(self) -> dict[str, Any]:
        """The options the run was started with.

        Raises:
            OptionError: there is no run in this folder.
        """
        try:
            config: dict[str, Any] = json.loads((self.path / CONFIG).read_text(encoding="utf-8"))
        except (OSError, ValueError) as e:
            raise OptionError(f"--resume {self.path}: is not the folder of a run (no readable {CONFIG} in it)") from e
        return config

    @contextlib.contextmanager
    def session(self) -> Iterator[None]:
        """What one process does with the run, of which there is one at a time; mends what a killed one left.

        Raises:
            OptionError: another process has the run, or the folder cannot be written to.
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
                    raise OptionError(f"{self.path}: another process is at work on this run; wait for it") from None
                except OSError:
                    pass  # a file system without locks
            self._mend_study()
            for left in self.path.glob(f"{SHARED}*"):
                shutil.rmtree(left, ignore_errors=True)
            yield

    def _mend_study(self) -> None:
        """Remove the lock of a killed process, for which Optuna would wait, and the line it was writing."""
        for left in self.path.glob(f"{self.study.name}.lock*"):
            left.unlink()
        if not self.study.exists():
            return
        content = self.study.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.truncate(self.study, whole)

    def has_labels(self) -> bool:
        """Whether there is something in it that a resumed run would not have to do again."""
        return any(self.labelled.glob("*.safetensors"))

    def discard(self) -> None:
        """Remove what `create` made, for a run that has come to nothing."""
        for folder in (self.labelled, self.path / "trials"):
            shutil.rmtree(folder, ignore_errors=True)
        for file in (*map(self.path.joinpath, (CONFIG, SPACE, CLOCK, LOCK)), self.study):
            file.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # there is something else in it
            self.path.rmdir()
            if self.path.parent.name == "runs":
                self.path.parent.rmdir()

    @property
    def has_exported(self) -> bool:
        """Whether this run has begun to write its loss, so that a file of that name is its own."""
        return (self.path / EXPORTED).exists()

    def note_export(self) -> None:
        """Note that from now on files under the name of its loss are the run's own."""
        (self.path / EXPORTED).touch()
