"""SQuAD's F1 of answers."""

from __future__ import annotations

from autosurrogate import metric
from autosurrogate.metrics import _squad

COMPUTED_BY = "autosurrogate"


# Of single answers most have an F1 of 0 or of 1: there would be little to rank.
@metric("squad_f1", task="span", level="set", view="text", set_size=64)
def squad_f1(preds: list[str], target: list[list[str]]) -> float:
    """F1 of the words of answers (SQuAD: Rajpurkar et al., EMNLP 2016), the mean over the answers, in [0, 1].

    Case, punctuation, and the words a, an and the do not count; the best of several right answers
    counts. NaN for a set without answers.

    Args:
        preds: answers.
        target: the right answers to each question, one or more.

    >>> squad_f1(["The Eiffel Tower", "in May"], [["Eiffel tower.", "the tower"], ["May 1889"]])
    0.75
    """
    if not preds:
        return float("nan")
    return float(sum(_squad.f1(answer, right) for answer, right in zip(preds, target, strict=True)) / len(preds))
