"""ROUGE, as the package rouge-score computes it."""

from __future__ import annotations

import functools
from typing import Any


def f_measure(variant: str, preds: str, target: str) -> float:
    """The F-measure of one of the package's variants, such as "rougeL", in [0, 1]."""
    return float(scorer(variant).score(target, preds)[variant].fmeasure)


@functools.cache
def scorer(variant: str) -> Any:
    """The scorer of one of the package's variants, without stemming."""
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer([variant], use_stemmer=False)
