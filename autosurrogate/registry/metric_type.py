"""A metric as plain data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from autosurrogate.registry.function_identity import describe

Level = Literal["sample", "set"]


@dataclass(frozen=True)
class Metric:
    """A metric and its declaration; `autosurrogate.metric` declares one, `find` returns it.

    Args:
        name: the metric's name; its loss file is named after it.
        function: called with (preds, target) of one point; returns one number.
        task: the kind of prediction, the name of a task in `autosurrogate.tasks`.
        level: whether a point is one example ("sample") or `set_size` of them ("set").
        view: the form of preds and target, one of the task's views; "" stands for the first until it is checked.
        higher_is_better: the metric's direction.
        set_size: examples a point; 1 for level "sample".
        source: the package that computes it, or the file or module that defines it.
        spec: what `find` takes in another process; None for a metric that only exists in this process (defined in
            `__main__`, in a notebook, inside a function), which is pickled by value.
        parts: the metrics of a mixture, see `mixtures`; preds and target of the function are then tuples with those of
            each part.
        factors: one for each part.
    """

    name: str
    function: Callable[[Any, Any], float]
    task: str
    level: Level
    view: str
    higher_is_better: bool
    set_size: int
    source: str
    spec: str | None
    parts: tuple[Metric, ...] = ()
    factors: tuple[float, ...] = ()

    @property
    def who(self) -> str:
        """The metric as messages call it: its name, its function and the function's file."""
        return f"metric {self.name!r} ({describe(self.function)})"
