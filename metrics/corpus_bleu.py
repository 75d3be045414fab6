"""Corpus BLEU."""

from __future__ import annotations

import functools
from typing import Any

from autosurrogate import metric

COMPUTED_BY = "sacrebleu"


# A set holds whole sentences with a score for every token of a vocabulary: 16 of them keep a batch of sets small.
@metric("corpus_bleu", task="sequence", level="set", view="text", set_size=16)
def corpus_bleu(preds: list[str], target: list[str]) -> float:
    """BLEU of a corpus (Papineni et al., ACL 2002) as sacrebleu computes it (Post, WMT 2018), in [0, 100].

    Matches and lengths are summed over the sentences before they are combined. Tokens are separated by spaces; an
    order without matches counts half a match, the next such order a quarter (exponential smoothing: Chen and Cherry,
    WMT 2014, method 3). A corpus whose hypotheses share no token with their references scores 0, one without
    sentences NaN.

    Args:
        preds: the hypotheses.
        target: their references, one for each.

    >>> round(corpus_bleu(["7 3 9 4 1", "5 5"], ["7 3 9 4 2", "5 6 8"]), 2)
    53.29
    """
    return float(_scorer().corpus_score(preds, [target]).score) if target else float("nan")


@functools.cache
def _scorer() -> Any:
    from sacrebleu.metrics.bleu import BLEU

    return BLEU(tokenize="none", force=True)
