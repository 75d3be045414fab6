"""Edit distances, as the package editdistance computes them."""

from __future__ import annotations

from collections.abc import Sequence


def edits(preds: Sequence[int], target: Sequence[int]) -> int:
    """Fewest substitutions, insertions and deletions of a token that make one sequence the other (Levenshtein)."""
    import editdistance

    return int(editdistance.eval(preds, target))
