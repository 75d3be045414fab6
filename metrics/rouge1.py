"""ROUGE-1."""

from __future__ import annotations

from autosurrogate import metric
from autosurrogate.metrics._rouge import f_measure

COMPUTED_BY = "rouge-score"


@metric("rouge1", task="sequence", level="sample", view="text")
def rouge1(preds: str, target: str) -> float:
    """F-measure of the tokens that hypothesis and reference share (Lin, ACL workshop 2004), in [0, 1].

    A token counts as often as both have it. rouge-score computes it, without stemming. Its tokens are runs of letters
    and digits, so that tokens written as numbers stay as they are. Without tokens on either side it is 0.

    Args:
        preds: the hypothesis.
        target: its reference.

    >>> round(rouge1("7 3 9 4 1", "3 7 9 5"), 4)
    0.6667
    """
    return float(f_measure("rouge1", preds, target))
