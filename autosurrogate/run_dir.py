"""The folder of a run: its options, its clock, and everything that a resumed run goes on from."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from autosurrogate.errors import OptionError

CONFIG = "config.json"
CLOCK = "clock.json"
TICK_S = 0.5


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

    def trial(self, number: int) -> Path:
        """The surrogate that a trial ended with."""
        return self.path / "trials" / f"{number:04d}.pt"

    def create(self, config: dict[str, Any]) -> None:
        """Make the folder, with the options of the run.

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


class Clock:
    """Wall-clock time of a run, over all its sessions.

    Args:
        run: the run; the time spent is kept in its folder, to half a second.
        budget_s: seconds the run may take.
    """

    def __init__(self, run: RunDir, budget_s: float) -> None:
        self._file = run.path / CLOCK
        self.budget_s = budget_s
        try:
            self._before = float(json.loads(self._file.read_text(encoding="utf-8"))["spent_s"])
        except (OSError, ValueError, KeyError, TypeError):
            self._before = 0.0
        self._start = self._written = time.monotonic()

    @property
    def spent_s(self) -> float:
        """Seconds spent so far, in this session and those before."""
        return self._before + time.monotonic() - self._start

    @property
    def left_s(self) -> float:
        """Seconds left; negative when overdrawn."""
        return self.budget_s - self.spent_s

    def tick(self) -> None:
        """Note the time spent, so that a killed run does not start its budget anew."""
        now = time.monotonic()
        if now - self._written > TICK_S:
            self._written = now
            write_json(self._file, {"spent_s": round(self.spent_s, 2)})


def write_json(path: Path, content: Any) -> None:
    """Write `content` so that the file is either the old one or the whole new one."""
    part = path.with_name(f"{path.name}.part")
    part.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    os.replace(part, path)
