"""chrF: the F-score of n-grams of characters."""

from __future__ import annotations

import functools
from typing import Any

from autosurrogate import metric

COMPUTED_BY = "sacrebleu"


@metric("chrf", task="sequence", level="sample", view="text")
def chrf(preds: str, target: str, *, word_order: int = 0) -> float:
    """ChrF of one sentence (Popović, WMT 2015) as sacrebleu computes it, in [0, 100].

    It depends on how tokens are spelled: a loss is fitted for one vocabulary, which `--tokenizer` names.

    Args:
        preds: the hypothesis.
        target: its reference.
        word_order: highest order of word n-grams that count as well; 2 makes it chrF++ (Popović, WMT 2017).

    >>> round(chrf("a cat sat", "the cat sat"), 2)
    53.61
    """
    return float(_scorer(word_order).sentence_score(preds, [target]).score)


@functools.cache
def _scorer(word_order: int) -> Any:
    from sacrebleu.metrics.chrf import CHRF

    return CHRF(word_order=word_order)
