"""The declaration of a library's metric."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from autosurrogate._utils.text import one_of
from autosurrogate.errors import MetricError
from autosurrogate.registry.metric_type import Level

#: Kind of classification metric, and its task and view.
KINDS = {
    "binary": ("scores", "binary"),
    "multiclass": ("classification", "labels"),
    "multilabel": ("scores", "multilabel"),
}
#: Parameters that every metric of a library has beside its own.
ADDED = ("set_size", "higher_is_better")
#: Lowest probability that counts as positive, where a metric takes predicted labels.
THRESHOLD = 0.5


@dataclass(frozen=True)
class Declaration:
    """A metric of a library, see `Metric`; `higher_is_better` is None if the library does not define it."""

    function: Callable[[Any, Any], Any]
    task: str
    view: str
    level: Level
    higher_is_better: bool | None
    source: str


def as_metric(score: Callable[[Any, Any], Any], original: Callable[..., Any]) -> Callable[[Any, Any], Any]:
    """A function of (preds, target) that messages call by the name of `original`, the library's own."""

    def function(preds: Any, target: Any) -> Any:
        return score(preds, target)

    function.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]  # not that of the original
    function.__wrapped__ = original  # type: ignore[attr-defined]
    return function


def kind_of(task: Any, default: str | None, possible: Collection[str]) -> str:
    """The kind of a metric: its parameter `task`, or else the default.

    Raises:
        MetricError: it is not one of `possible`, or there is neither.
    """
    kind = default if task is None else task
    if kind in possible:
        return str(kind)
    choices = " or ".join(f"task={name}" for name in possible)
    raise MetricError(f"its kind must be set: {choices}" + ("" if kind is None else f", got task={kind}"))


def known_only(settings: Mapping[str, Any], known: Iterable[str], *own: str) -> dict[str, Any]:
    """Check the names of settings; returns those that are the library's.

    Args:
        settings: values by name.
        known: names of the library's parameters.
        own: names of parameters that this program adds; not returned.

    Raises:
        MetricError: a name is neither.
    """
    names = sorted({*known, *own, *ADDED})  # `ADDED` are taken out before
    for name in settings:
        if name not in names:
            raise MetricError(f"no parameter {name!r}: {one_of(name, names)}")
    return {name: value for name, value in settings.items() if name not in own}
