"""SQuAD's exact match of answers."""

from __future__ import annotations

from autosurrogate import metric
from autosurrogate.metrics import _squad

COMPUTED_BY = "autosurrogate"


@metric("squad_em", task="span", level="set", view="text", set_size=64)
def squad_em(preds: list[str], target: list[list[str]]) -> float:
    """Fraction of answers that match a right one (SQuAD: Rajpurkar et al., EMNLP 2016), in [0, 1].

    Case, punctuation, and the words a, an and the do not count. NaN for a set without answers.

    Args:
        preds: answers.
        target: the right answers to each question, one or more.

    >>> squad_em(["The Eiffel Tower", "in May"], [["Eiffel tower.", "the tower"], ["May"]])
    0.5
    """
    if not preds:
        return float("nan")
    return float(sum(_squad.exact(answer, right) for answer, right in zip(preds, target, strict=True)) / len(preds))
