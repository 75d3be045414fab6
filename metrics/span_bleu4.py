"""BLEU-4 of spans."""

from __future__ import annotations

import functools
from typing import Any

from autosurrogate import metric

COMPUTED_BY = "sacrebleu"


# Of single answers many score 0 or 100: there would be little to rank.
@metric("span_bleu4", task="span", level="set", view="text", set_size=64)
def span_bleu4(preds: list[str], target: list[list[str]]) -> float:
    """Sentence BLEU of answers (Papineni et al., ACL 2002) as sacrebleu computes it, the mean over them, in [0, 100].

    Tokens are those of sacrebleu's "13a", case counts, and all right answers to a question are its references. N-gram
    orders longer than the answer are left out (effective order); an order without matches counts half a match, the
    next such order a quarter (exponential smoothing: Chen and Cherry, WMT 2014, method 3).
    NaN for a set without answers.

    Args:
        preds: answers.
        target: the right answers to each question, one or more.

    >>> round(span_bleu4(["the tower of London", "in May"], [["London", "tower of London"], ["May"]]), 2)
    54.73
    """
    if not preds:
        return float("nan")
    scores = [_scorer().sentence_score(answer, right).score for answer, right in zip(preds, target, strict=True)]
    return float(sum(scores) / len(preds))


@functools.cache
def _scorer() -> Any:
    from sacrebleu.metrics.bleu import BLEU

    return BLEU(effective_order=True, force=True)
