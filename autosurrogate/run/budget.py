"""The budget of a run: its clock, and every share of it.

How five minutes are spent (`table()` prints the shares of any budget):

1. Labelling. The metric is called on generated points of every quality, to calibrate the generator and to see what the
   metric depends on. It is refused if the fewest calls that a fit needs would take more than 240 s; also if it depends
   on what no network sees, unless a short fit, whose calls may take 30 s, follows it all the same. Then points are
   labelled until there are as many as a run may have, or until 90 s of the run have passed; where there are recorded
   outputs, generated points until 45 s have passed. Each split gets some points in any case. With a number of trials,
   all points are labelled, until the time to finish.
2. Preparing. Losses are evaluated on as many validation points as the most expensive network takes 15 s for; generated
   and recorded ones have 15 s each. These seconds, and those of features and descent checks, are of a reference
   machine: operations are counted, not timed. So the same seed and number of trials give the same loss on a busy one.
3. Searching. Trials train, and the points for the test are labelled meanwhile. The first trial of each network computes
   the features of the training points, for all trials of the network, until its part of 75 s has passed: an equal part,
   but what a cheap network needs less is for the others. Generated and recorded points have such a part each. After its
   training, a trial moves as many points of the descent check as the most expensive network takes 6 s for. Trials start
   and train as long as more than 20 s are left. At least one trial is completed, however long it takes. Without a
   number of trials, the search ends earlier if the later half of its trials has gained next to nothing.
4. Finishing. The last 20 s are for the evaluation on test points and for the export. Nothing is cut short there.
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
CALL_LIMIT_S = 10.0  # time limit of one call of the metric
CHECK_S = 10.0  # what `check` may spend on calling the metric for its values, and as much on a short fit's
PARALLEL_MIN_S = 20.0  # with less time left for the search, starting processes for trials would not pay off
SAVE_EVERY_S = 0.5  # how often the time spent is saved


@dataclass(frozen=True)
class Share:
    """What one step of a run may take of its budget.

    Args:
        stage: the stage of the run.
        step: what the time is for.
        fraction: of the budget.
        limit_s: the most seconds, whatever the budget; None for no such limit.
    """

    stage: str
    step: str
    fraction: float
    limit_s: float | None = None

    def of(self, budget_s: float) -> float:
        """Seconds of a budget.

        >>> FINISHING.of(300), FINISHING.of(60)
        (20.0, 12.0)
        """
        return min(self.fraction * budget_s, float("inf") if self.limit_s is None else self.limit_s)


FEASIBLE = Share(
    "labelling", "the fewest calls of the metric that a fit needs, of the time left; a slower metric is refused", 0.8
)
SHORT_FIT = Share(
    "labelling",
    "the calls of a short fit, which decides whether a metric is refused that depends on what no network sees",
    0.1,
)
LABELLING = Share(
    "labelling",
    "all labelling for training and validation, from the start of the run; half of it for generated points where there "
    "are recorded outputs",
    0.3,
)
VALIDATION = Share(
    "preparing",
    "the losses of the validation points by the most expensive network; decides how many points losses are evaluated "
    "on",
    0.05,
)
TABLES = Share(
    "searching",
    "the features of the training points; what a network needs less than an equal part is for the others",
    0.25,
)
DESCENT = Share(
    "searching",
    "the points of one descent check, moved by the most expensive network; decides how many points are moved",
    0.02,
)
FINISHING = Share(
    "finishing", "the evaluation on test points and the export; trials start as long as more is left", 0.2, 20.0
)

SHARES = (FEASIBLE, SHORT_FIT, LABELLING, VALIDATION, TABLES, DESCENT, FINISHING)


def table(budget_s: float = 300.0) -> str:
    """Every share of a budget, as a table in Markdown.

    Args:
        budget_s: seconds of the budget.
    """
    lines = ["| stage | at most | seconds | for |", "| --- | --- | --- | --- |"]
    for share in SHARES:
        limit = "" if share.limit_s is None else f", {share.limit_s:g} s"
        lines.append(f"| {share.stage} | {100 * share.fraction:g} %{limit} | {share.of(budget_s):g} | {share.step} |")
    return "\n".join(lines)


class Clock:
    """Wall-clock time of a run, over all its sessions; a context manager, inside which time counts.

    Args:
        run: the run. The time spent is saved in its folder twice a second, so that a run that is killed and resumed
            goes on with the rest of its budget.
        budget_s: seconds that the run may take.
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
        """Seconds left; negative once the budget is exceeded."""
        return self.budget_s - self.spent_s

    def _tick(self) -> None:
        while not self._stop.wait(SAVE_EVERY_S):
            self._save()

    def _save(self) -> None:
        with contextlib.suppress(OSError):  # a full disk is for the run itself to report
            write_json(self._file, {"spent_s": round(self.spent_s, 2)})
