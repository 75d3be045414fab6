"""The budget of a run: its clock, and every share of it.

How five minutes are spent (`table()` prints this for any budget):

- Labelling: the metric is called on generated points, and on recorded ones where there are any, until each kind has as
  many as it may, or 90 s have passed. A metric whose fewest calls would take 240 s is refused.
- Preparing: each network's features of the points are computed once, within 75 s for all networks of the search space
  together. Losses are evaluated on as many validation points as take 15 s for the slowest network.
- Searching: trials, until 20 s are left. After each, a descent check of 6 s at most.
- Finishing: the last 20 s are for the evaluation on test points and for the export.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from dataclasses import dataclass
from types import TracebackType

from autosurrogate._utils.files import write_json
from autosurrogate.run.run_dir import CLOCK, RunDir

MIN_BUDGET_S = 5.0
CALL_LIMIT_S = 10.0  # of one call of the metric
CHECK_S = 10.0  # what `check` may spend on calls for values, and again on calls for the metric's range
PARALLEL_MIN_S = 20.0  # left for the search, with less of which processes for trials would not pay
SAVE_EVERY_S = 0.5  # how often the time spent is saved


@dataclass(frozen=True)
class Share:
    """What a stage of a run may take of its budget.

    Args:
        stage: of the run.
        what: is done with it.
        fraction: of the budget.
        limit_s: seconds that it takes at most, whatever the budget; None for no such limit.
    """

    stage: str
    what: str
    fraction: float
    limit_s: float | None = None

    def of(self, budget_s: float) -> float:
        """Seconds of a budget.

        >>> FINISHING.of(300), FINISHING.of(60)
        (20.0, 12.0)
        """
        return min(self.fraction * budget_s, float("inf") if self.limit_s is None else self.limit_s)


FEASIBLE = Share("labelling", "the fewest calls of the metric that a fit needs; a slower metric is refused", 0.8)
LABELLING = Share("labelling", "labelling points for training and validation; half of it for generated points "
                  "where there are recorded ones", 0.3)  # fmt: skip
TABLES = Share("preparing", "feature tables of all networks together, each an equal part", 0.25)
VALIDATION = Share("preparing", "features of the validation points, by the slowest network; decides how many points "
                   "losses are evaluated on", 0.05)  # fmt: skip
DESCENT = Share("searching", "the descent check of one loss; decides how many points it moves", 0.02)
FINISHING = Share("finishing", "the evaluation on test points and the export; trials begin as long as more is left",
                  0.2, 20.0)  # fmt: skip

SHARES = (FEASIBLE, LABELLING, TABLES, VALIDATION, DESCENT, FINISHING)


def table(budget_s: float = 300.0) -> str:
    """Every share of a budget, as a table in Markdown.

    Args:
        budget_s: seconds of the budget.
    """
    lines = ["| stage | at most | seconds | for |", "| --- | --- | --- | --- |"]
    for share in SHARES:
        limit = "" if share.limit_s is None else f", {share.limit_s:g} s"
        lines.append(f"| {share.stage} | {100 * share.fraction:g} %{limit} | {share.of(budget_s):g} | {share.what} |")
    return "\n".join(lines)


class Clock:
    """Wall-clock time of a run, over all its sessions; a context manager, within which time passes.

    Args:
        run: the run; the time spent is saved in its folder twice a second, so that a killed run does not start its
            budget anew.
        budget_s: seconds the run may take.
    """

    def __init__(self, run: RunDir, budget_s: float) -> None:
        self._file = run.path / CLOCK
        self.budget_s = budget_s
        try:
            self._before = float(json.loads(self._file.read_text(encoding="utf-8"))["spent_s"])
        except (OSError, ValueError, KeyError, TypeError):
            self._before = 0.0
        self._start = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._tick, name="clock", daemon=True)

    def __enter__(self) -> Clock:
        self._start = time.monotonic()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._save()

    @property
    def spent_s(self) -> float:
        """Seconds spent so far, in this session and those before."""
        return self._before + time.monotonic() - self._start

    @property
    def left_s(self) -> float:
        """Seconds left; negative when overdrawn."""
        return self.budget_s - self.spent_s

    def _tick(self) -> None:
        while not self._stop.wait(SAVE_EVERY_S):
            self._save()

    def _save(self) -> None:
        with contextlib.suppress(OSError):  # a full disk is for the run itself to report
            write_json(self._file, {"spent_s": round(self.spent_s, 2)})
