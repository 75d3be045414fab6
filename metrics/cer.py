"""Character error rate of one text."""

from __future__ import annotations

from autosurrogate import metric
from autosurrogate.metrics._edits import edits

COMPUTED_BY = "editdistance"


@metric("cer", task="sequence", level="sample", view="tokens", higher_is_better=False)
def cer(preds: list[int], target: list[int]) -> float:
    """Edits by the tokens of the reference, of one example: 0 is exact, above 1 if the hypothesis is far too long.

    A character error rate where tokens are characters. It is the mean over examples that a loss of it lowers; of the
    rate of a whole corpus, see `wer`. NaN for a reference without tokens.

    Args:
        preds: the hypothesis.
        target: its reference.

    >>> cer([7, 3, 9, 4], [7, 9, 4, 1])
    0.5
    """
    return float(edits(preds, target)) / len(target) if target else float("nan")
