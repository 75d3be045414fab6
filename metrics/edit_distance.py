"""Edit distance."""

from __future__ import annotations

from autosurrogate import metric
from autosurrogate.metrics._edits import edits

COMPUTED_BY = "editdistance"


@metric("edit_distance", task="sequence", level="sample", view="tokens", higher_is_better=False)
def edit_distance(preds: list[int], target: list[int]) -> float:
    """Fewest substitutions, insertions and deletions of a token that make the hypothesis the reference (Levenshtein).

    From 0 to the number of tokens of the longer one: long sequences count more than short ones. See `cer` and
    `normalized_edit_distance` for those that do not.

    Args:
        preds: the hypothesis.
        target: its reference.

    >>> edit_distance([7, 3, 9, 4], [7, 9, 4, 1])
    2.0
    """
    return float(edits(preds, target))
