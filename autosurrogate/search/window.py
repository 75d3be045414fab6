"""The window of a search: the trials that the study has given out and whose results it does not know yet."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import optuna

from autosurrogate.search.trial import Job, Outcome

LAG = 8  # trials in the window at most: the sampler knows all trials but the last ones, however many run in parallel


@dataclass(eq=False)
class PendingTrial:
    """A trial in the window.

    Args:
        trial: the running trial of the study.
        job: what it does.
        training_settings: as its record keeps them.
        future: None before it starts.
        alone: whether no other trial runs in parallel.
        outcome: None before it has ended.
        lost: whether its process was killed.
        evaluated: whether the descent check is done and its attributes are written.
    """

    trial: optuna.Trial
    job: Job
    training_settings: dict[str, Any]
    future: Future[Outcome] | None = None
    alone: bool = False
    outcome: Outcome | None = None
    lost: bool = False
    evaluated: bool = False


class Window(deque[PendingTrial]):
    """Pending trials in the order in which the study gave them out; only the last may not have started."""

    def running(self) -> list[PendingTrial]:
        """Those that have started and not ended."""
        return [pending for pending in self if pending.future and not (pending.outcome or pending.lost)]

    def started(self) -> list[PendingTrial]:
        """Those that have started and were not lost."""
        return [pending for pending in self if pending.future and not pending.lost]

    def waiting(self) -> PendingTrial | None:
        """The one that has not started, if there is one."""
        return self[-1] if self and self[-1].future is None else None
