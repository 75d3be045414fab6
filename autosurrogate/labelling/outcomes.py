"""Points, and what a metric returned for them: a value, or a problem."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["raised", "timeout", "nan", "not a number", "crashed"]
Point = tuple[Any, Any]  # preds and target, as the metric is called with them


@dataclass(frozen=True)
class Problem:
    """Why a point has no label.

    Args:
        kind: what happened.
        message: one line that describes it.
    """

    kind: Kind
    message: str


@dataclass(frozen=True)
class Answers:
    """Outcomes of the next points of a batch, in order, and the seconds they took."""

    outcomes: list[float | Problem]
    seconds: float


@dataclass(frozen=True)
class Ready:
    """The first message of a worker: it has loaded the metric, or why it could not."""

    error: str | None
