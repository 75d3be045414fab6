"""What a metric is declared as, where its type hints and the names of its parameters settle it."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, get_args, get_origin

from autosurrogate._utils.text import one_of
from autosurrogate.errors import MetricError
from autosurrogate.registry import type_hints
from autosurrogate.registry.metric_type import Level

_TEXT = (
    "hypothesis hypotheses hyp hyps reference references ref refs candidate candidates sentence sentences translation "
    "translations summary summaries transcript transcripts text texts"
)
_SEVERAL = {"hypotheses", *(word for word in _TEXT.split() if word.endswith("s") and word != "hypothesis")}
#: Words in the names of parameters, and the task and the view they stand for.
WORDS = {
    "box boxes detection detections": ("detection", "boxes"),
    "keypoint keypoints joint joints pose poses": ("heatmap", "keypoints"),
    "mask masks segmentation segmentations": ("segmentation", "labels"),
    "relevance relevances gain gains": ("ranking", "lists"),
    "span spans": ("span", "positions"),
    "answer answers": ("span", "text"),
    "token tokens": ("sequence", "tokens"),
    _TEXT: ("sequence", "text"),
    "class classes": ("classification", "labels"),
    "value values": ("values", "values"),
}
MOST_TOLD = 8  # choices in a message


@dataclass(frozen=True)
class Choice:
    """One way to declare a metric, and what it is then given."""

    task: str
    view: str
    level: Level
    given: tuple[Any, Any]

    def __str__(self) -> str:
        preds, target = (type_hints.show(kind) for kind in self.given)
        return f'task="{self.task}", level="{self.level}", view="{self.view}" (given {preds}, {target})'


def declaration(function: Callable[..., Any], *, level: Level | None, view: str | None) -> tuple[str, Level, str]:
    """Task, level and view of a metric that is declared without its task.

    The types that its two parameters are hinted decide, if just one way to call it has them; else the names of the
    parameters among those ways that no hint contradicts.

    Args:
        function: the metric.
        level: as it is declared; None if it is not.
        view: as it is declared; None if it is not.

    Raises:
        MetricError: several ways are left, or none is.
    """
    try:
        asked = type_hints.of_arguments(function)
    except TypeError as error:
        raise MetricError(f"it is called with (preds, target), but: {error}") from None
    every = list(_choices())
    for word, value, known in (
        ("level", level, dict.fromkeys(choice.level for choice in every)),
        ("view", view, dict.fromkeys(choice.view for choice in every)),
    ):
        if value is not None and value not in known:
            raise MetricError(f"there is no {word} {value!r}: {one_of(str(value), known)}")
    possible = [
        choice
        for choice in every
        if level in (None, choice.level)
        and view in (None, choice.view)
        and not any(type_hints.contradicts(hint, kind) for (_, hint), kind in zip(asked, choice.given, strict=True))
    ]
    exact = [
        choice
        for choice in possible
        if all(_is_just(hint, kind) for (_, hint), kind in zip(asked, choice.given, strict=True))
    ]
    named = _named([name for name, _ in asked], exact or possible)
    for found in (exact, named, possible):
        if len(found) == 1:
            return found[0].task, found[0].level, found[0].view
    raise MetricError(_unsettled(named or exact or possible))


def _choices() -> Iterator[Choice]:
    from autosurrogate import tasks  # which need torch

    for name in tasks.names():
        for view, levels in tasks.get(name).views.items():
            for level, given in levels.items():
                yield Choice(name, view, "set" if level == "set" else "sample", given)


def _is_just(hint: Any, given: Any) -> bool:
    """Whether a hint asks for that very type, lists and their like being alike."""
    hint = type_hints.plain(hint)
    if hint == given:
        return True
    asked, kind = get_origin(hint) or hint, get_origin(given) or given
    if kind is list and asked in (list, Sequence, Collection, Iterable):
        inner, own = get_args(hint), get_args(given)
        return len(inner) == len(own) == 1 and _is_just(inner[0], own[0])
    return asked is kind and kind is not list  # ndarray[...] and dict[...], whatever is in them


def _named(names: Sequence[str], choices: Sequence[Choice]) -> list[Choice]:
    """The choices that words in the parameters' names stand for; of texts, those of one or of several."""
    words = {word for name in names for word in re.split(r"[_\d]+", name.lower())}
    meant = {about for known, about in WORDS.items() if words & set(known.split())}
    if len(meant) != 1:
        return []
    found = [choice for choice in choices if (choice.task, choice.view) in meant]
    if meant != {WORDS[_TEXT]}:
        return found
    level = "set" if words & _SEVERAL else "sample"
    return [choice for choice in found if choice.level == level]


def _unsettled(choices: Sequence[Choice]) -> str:
    if not choices:
        return (
            "no kind of prediction is given to a function as its type hints ask; say what it judges with task=, level= "
            "and view=, and hint what it is given then (docs/tasks.md)"
        )
    told = "; or ".join(map(str, choices[:MOST_TOLD]))
    more = f"; or {len(choices) - MOST_TOLD} more, see docs/tasks.md" if len(choices) > MOST_TOLD else ""
    return (
        "its type hints and the names of its parameters do not settle what it judges. Put one of these in the "
        f"decorator: {told}{more}"
    )
