"""Fraction of sequences that are right as a whole."""

from __future__ import annotations

from autosurrogate import metric

COMPUTED_BY = "python"


@metric("exact_match", task="sequence", level="set", view="tokens", set_size=16)
def exact_match(preds: list[list[int]], target: list[list[int]]) -> float:
    """Fraction of hypotheses that equal their reference token by token, in [0, 1]; NaN for an empty set.

    The word accuracy of text recognition, and the sequence accuracy of parsing and of arithmetic.

    Args:
        preds: the hypotheses.
        target: their references, one for each.

    >>> exact_match([[7, 3], [9], []], [[7, 3], [9, 9], []])
    0.6666666666666666
    """
    return sum(map(list.__eq__, preds, target)) / len(target) if target else float("nan")
