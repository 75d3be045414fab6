"""Task, level and view of a metric, inferred from the type hints and the names of its parameters."""

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
#: Words in the names of parameters, and the task and the view that they stand for.
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
MAX_SHOWN = 8  # candidates in a message


@dataclass(frozen=True)
class Candidate:
    """One way to declare a metric, and the types of (preds, target) that it is then called with."""

    task: str
    view: str
    level: Level
    types: tuple[Any, Any]

    def __str__(self) -> str:
        preds, target = (type_hints.show(kind) for kind in self.types)
        return f'task="{self.task}", level="{self.level}", view="{self.view}" (called with {preds}, {target})'


def declaration(function: Callable[..., Any], *, level: Level | None, view: str | None) -> tuple[str, Level, str]:
    """Task, level and view of a metric that is declared without its task.

    The type hints of its two parameters decide if exactly one candidate has these types; else the names of the
    parameters decide among the candidates that no hint contradicts.

    Args:
        function: the metric.
        level: the declared one; None if there is none.
        view: the declared one; None if there is none.

    Raises:
        MetricError: several candidates are left, or none.
    """
    try:
        asked = type_hints.of_arguments(function)
    except TypeError as error:
        raise MetricError(f"it is called with (preds, target), but: {error}") from None
    candidates = list(_candidates())
    for word, value, known in (
        ("level", level, dict.fromkeys(candidate.level for candidate in candidates)),
        ("view", view, dict.fromkeys(candidate.view for candidate in candidates)),
    ):
        if value is not None and value not in known:
            raise MetricError(f"there is no {word} {value!r}: {one_of(str(value), known)}")
    possible = [
        candidate
        for candidate in candidates
        if level in (None, candidate.level)
        and view in (None, candidate.view)
        and not any(type_hints.contradicts(hint, kind) for (_, hint), kind in zip(asked, candidate.types, strict=True))
    ]
    exact = [
        candidate
        for candidate in possible
        if all(_is_exactly(hint, kind) for (_, hint), kind in zip(asked, candidate.types, strict=True))
    ]
    named = _named([name for name, _ in asked], exact or possible)
    for remaining in (exact, named, possible):
        if len(remaining) == 1:
            return remaining[0].task, remaining[0].level, remaining[0].view
    raise MetricError(_unsettled(named or exact or possible))


def _candidates() -> Iterator[Candidate]:
    from autosurrogate import tasks  # imports torch, which listing metrics does without

    for name in tasks.names():
        for view, levels in tasks.get(name).views.items():
            for level, types in levels.items():
                yield Candidate(name, view, "set" if level == "set" else "sample", types)


def _is_exactly(hint: Any, given_type: Any) -> bool:
    """Whether a hint asks for exactly that type; a sequence of any kind counts as a list."""
    hint = type_hints.plain(hint)
    if hint == given_type:
        return True
    asked, kind = get_origin(hint) or hint, get_origin(given_type) or given_type
    if kind is list and asked in (list, Sequence, Collection, Iterable):
        inner, given_inner = get_args(hint), get_args(given_type)
        return len(inner) == len(given_inner) == 1 and _is_exactly(inner[0], given_inner[0])
    return asked is kind and kind is not list  # ndarray[...] and dict[...], whatever is in them


def _named(names: Sequence[str], candidates: Sequence[Candidate]) -> list[Candidate]:
    """The candidates that words in the parameters' names stand for; for text, plural names stand for sets."""
    words = {word for name in names for word in re.split(r"[_\d]+", name.lower())}
    meant = {about for known, about in WORDS.items() if words & set(known.split())}
    if len(meant) != 1:
        return []
    named = [candidate for candidate in candidates if (candidate.task, candidate.view) in meant]
    if meant != {WORDS[_TEXT]}:
        return named
    level = "set" if words & _SEVERAL else "sample"
    return [candidate for candidate in named if candidate.level == level]


def _unsettled(candidates: Sequence[Candidate]) -> str:
    if not candidates:
        return (
            "no task calls a metric with the types that its hints ask for; declare task=, level= and view=, and hint "
            "the types that these give (docs/reference/tasks.md)"
        )
    shown = "; or ".join(map(str, candidates[:MAX_SHOWN]))
    more = (
        f"; or {len(candidates) - MAX_SHOWN} more, see docs/reference/tasks.md" if len(candidates) > MAX_SHOWN else ""
    )
    return (
        "its type hints and the names of its parameters do not settle its task. Put one of these in the decorator: "
        f"{shown}{more}"
    )
