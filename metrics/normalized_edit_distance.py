"""Normalised edit distance, as text recognition reports it."""

from __future__ import annotations

from autosurrogate import metric
from autosurrogate.metrics._edits import edits

COMPUTED_BY = "editdistance"


@metric("normalized_edit_distance", task="sequence", level="sample", view="tokens")
def normalized_edit_distance(preds: list[int], target: list[int]) -> float:
    """1 less the edit distance by the length of the longer of both, in [0, 1]: higher is better, 1 is exact.

    Of a data set the mean over its words is reported, as "1-N.E.D." (Zhang et al., ICDAR 2019, arXiv 1912.09641).
    Two empty sequences score 1.

    Args:
        preds: the hypothesis.
        target: its reference.

    >>> normalized_edit_distance([7, 3, 9, 4], [7, 9, 4, 1])
    0.5
    """
    longer = max(len(preds), len(target))
    return 1.0 - float(edits(preds, target)) / longer if longer else 1.0
