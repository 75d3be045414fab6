"""What a metric is: plain data, with what the program must know about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from autosurrogate.registry.functions import describe

Level = Literal["sample", "set"]


@dataclass(frozen=True)
class Metric:
    """A metric with what the program must know about it; made by `metric`, got by `find`.

    Args:
        name: what the metric is called, and its loss's file after it.
        function: called with (preds, target) of one point; returns one number.
        task: the kind of prediction, the name of a file in `autosurrogate.tasks`.
        level: whether a point is one example ("sample") or `set_size` of them ("set").
        view: what the function is given, one of the task's views; "" until it is checked stands for the first.
        higher_is_better: the metric's direction.
        set_size: examples a point; 1 for level "sample".
        source: what computes it: a package, or the file or module of its definition.
        spec: how `find` gets it in another process; None for one that only exists in this one (defined in
            `__main__`, in a notebook, inside a function): it is pickled by value.
        parts: the metrics of a mixture, see `mixtures`; the function is then given, for preds and for target, what each
            of them is given.
        factors: of each part.
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
        """The metric as messages call it: its name, its function and where that stands."""
        return f"metric {self.name!r} ({describe(self.function)})"
