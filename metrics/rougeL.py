"""ROUGE-L."""

from __future__ import annotations

from autosurrogate import metric
from autosurrogate.metrics._rouge import f_measure

COMPUTED_BY = "rouge-score"


@metric("rougeL", task="sequence", level="sample", view="text")
def rougeL(preds: str, target: str) -> float:
    """F-measure of the longest common subsequence (Lin, ACL workshop 2004), in [0, 1].

    Its length by that of the hypothesis is the precision, by that of the reference the recall. rouge-score computes it,
    without stemming. Its tokens are runs of letters and digits, so that tokens written as numbers stay as they are.
    Without tokens on either side it is 0.

    Args:
        preds: the hypothesis.
        target: its reference.

    >>> rougeL("7 3 9 4 1", "7 9 5 8 1")
    0.6
    """
    return float(f_measure("rougeL", preds, target))
