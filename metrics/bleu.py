"""Sentence BLEU."""

from __future__ import annotations

import functools
from typing import Any

from autosurrogate import metric

COMPUTED_BY = "sacrebleu"


@metric("bleu", task="sequence", level="sample", view="text")
def bleu(preds: str, target: str) -> float:
    """BLEU of one sentence (Papineni et al., ACL 2002) as sacrebleu computes it (Post, WMT 2018), in [0, 100].

    Tokens are separated by spaces. N-gram orders longer than the hypothesis are left out (effective order), and an
    order without matches counts half a match, the next such order a quarter (exponential smoothing: Chen and
    Cherry, WMT 2014, method 3). A hypothesis or reference without tokens scores 0.

    Args:
        preds: the hypothesis.
        target: its reference.

    >>> round(bleu("7 3 9 4 1", "7 3 9 4 2"), 2)
    66.87
    """
    return float(_scorer().sentence_score(preds, [target]).score)


@functools.cache
def _scorer() -> Any:
    from sacrebleu.metrics.bleu import BLEU

    return BLEU(tokenize="none", effective_order=True, force=True)
