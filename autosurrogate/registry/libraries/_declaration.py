"""What a library's metric is declared as."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from autosurrogate._utils.text import one_of
from autosurrogate.errors import MetricError
from autosurrogate.registry.metric_type import Level

#: How many classes a metric of the kind is about, and the task and the view that go with it.
KINDS = {
    "binary": ("scores", "binary"),
    "multiclass": ("classification", "labels"),
    "multilabel": ("scores", "multilabel"),
}
#: Parameters that every metric of a library has besides its own.
ADDED = ("set_size", "higher_is_better")
#: The least probability that is called positive, where a metric wants to be told what is.
THRESHOLD = 0.5


@dataclass(frozen=True)
class Declaration:
    """A metric of a library, for `Metric`; `higher_is_better` is None where the library does not say."""

    function: Callable[[Any, Any], Any]
    task: str
    view: str
    level: Level
    higher_is_better: bool | None
    source: str


def as_metric(score: Callable[[Any, Any], Any], original: Callable[..., Any]) -> Callable[[Any, Any], Any]:
    """A function of (preds, target) that messages call by the name of the library's `original`."""

    def function(preds: Any, target: Any) -> Any:
        return score(preds, target)

    function.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]  # not that of the original
    function.__wrapped__ = original  # type: ignore[attr-defined]
    return function


def kind_of(given: Any, default: str | None, possible: Collection[str]) -> str:
    """Which of the kinds a metric is to judge: what its parameter `task` gives, or else the default.

    Raises:
        MetricError: it is not possible, or there is no default.
    """
    kind = default if given is None else given
    if kind in possible:
        return str(kind)
    choices = " or ".join(f"task={name}" for name in possible)
    raise MetricError(f"say what it judges: {choices}" + ("" if kind is None else f", got task={kind}"))


def known_only(settings: Mapping[str, Any], known: Iterable[str], *own: str) -> dict[str, Any]:
    """The settings that are the library's, once all are parameters that there are.

    Args:
        settings: values by name.
        known: names of the library's parameters.
        own: names of further ones that this program adds, left out of what is returned.

    Raises:
        MetricError: one is neither.
    """
    names = sorted({*known, *own, *ADDED})  # those added are taken out before
    for name in settings:
        if name not in names:
            raise MetricError(f"no parameter {name!r}: {one_of(name, names)}")
    return {name: value for name, value in settings.items() if name not in own}
