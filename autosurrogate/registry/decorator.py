"""The decorator that declares a metric."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, overload

from autosurrogate.registry import registration
from autosurrogate.registry.metric_type import Level

if TYPE_CHECKING:
    from autosurrogate.tasks import Task

Score = TypeVar("Score", bound=Callable[..., Any])


@overload
def metric(name: Score) -> Score: ...
@overload
def metric(
    name: str | None = None,
    *,
    task: str | Task | type[Task] | None = None,
    level: Level | None = None,
    view: str | None = None,
    higher_is_better: bool = True,
    set_size: int = 128,
) -> Callable[[Score], Score]: ...
def metric(
    name: str | Score | None = None,
    *,
    task: str | Task | type[Task] | None = None,
    level: Level | None = None,
    view: str | None = None,
    higher_is_better: bool = True,
    set_size: int = 128,
) -> Score | Callable[[Score], Score]:
    """Declare a function as a metric; the function is returned unchanged.

    Args:
        name: the metric's name; by default the function's. `@metric` alone is enough for a function whose type hints
            settle the rest.
        task: the kind of prediction that it evaluates, such as "classification" or "sequence", or a subclass of
            `autosurrogate.Task`. Without it, task, level and view are inferred from the type hints and the names of
            the function's two parameters.
        level: "sample" if it is called with one example, "set" (the default beside a task) if with `set_size` examples.
        view: the form of preds and target, one of the task's views; the task's first by default.
        higher_is_better: whether a larger value is better.
        set_size: number of examples in a set, at least 2; ignored for level "sample".

    Raises:
        MetricError: an argument is not valid, or the function's type hints contradict level and view, or do not settle
            a task that is left out.
        RegistryError: the name belongs to another function. Names in a file that is passed as `file.py:function`
            collide with none outside the file.

    >>> from autosurrogate.registry import find
    >>> @metric("length_ratio", task="sequence", level="sample", view="tokens")
    ... def length_ratio(preds: list, target: list) -> float:
    ...     return min(len(preds), len(target)) / max(len(preds), len(target), 1)
    >>> find(length_ratio).view
    'tokens'
    >>> @metric
    ... def shared_words(hypothesis: str, reference: str) -> float:
    ...     return len(set(hypothesis.split()) & set(reference.split()))
    >>> find(shared_words).task, find(shared_words).level, find(shared_words).view
    ('sequence', 'sample', 'text')
    """
    caller = str(sys._getframe(1).f_globals.get("__name__", "__main__"))

    def register(function: Score, name: str | None) -> Score:
        registration.register(
            function,
            caller=caller,
            name=name,
            task=task,
            level=level,
            view=view,
            higher_is_better=higher_is_better,
            set_size=set_size,
        )
        return function

    if callable(name):
        return register(name, None)
    return lambda function: register(function, name)
