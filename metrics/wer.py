"""Word error rate of a corpus."""

from __future__ import annotations

from autosurrogate import metric
from autosurrogate.metrics._edits import edits

COMPUTED_BY = "editdistance"


@metric("wer", task="sequence", level="set", view="tokens", set_size=16, higher_is_better=False)
def wer(preds: list[list[int]], target: list[list[int]]) -> float:
    """Edits of all examples by the tokens of all references: 0 is exact, above 1 if hypotheses are far too long.

    The error rate of a corpus, as speech recognition reports it: long examples count more than short ones. Of words
    where tokens are words, else of what they are. Of single examples, see `cer`. NaN for a set without a token.

    Args:
        preds: the hypotheses.
        target: their references, one for each.

    >>> wer([[7, 3, 9, 4], [5]], [[7, 9, 4, 1], [5, 6, 8, 2]])
    0.625
    """
    n_tokens = sum(map(len, target))
    return float(sum(map(edits, preds, target))) / n_tokens if n_tokens else float("nan")
