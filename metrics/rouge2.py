"""ROUGE-2."""

from __future__ import annotations

from autosurrogate import metric
from autosurrogate.metrics._rouge import f_measure

COMPUTED_BY = "rouge-score"


@metric("rouge2", task="sequence", level="sample", view="text")
def rouge2(preds: str, target: str) -> float:
    """F-measure of the pairs of neighbours that hypothesis and reference share (Lin, ACL workshop 2004), in [0, 1].

    A pair counts as often as both have it. rouge-score computes it, without stemming. Its tokens are runs of letters
    and digits, so that tokens written as numbers stay as they are. Where either side has fewer than two it is 0.

    Args:
        preds: the hypothesis.
        target: its reference.

    >>> rouge2("7 3 9 4 1", "7 3 9 5 1")
    0.5
    """
    return float(f_measure("rouge2", preds, target))
