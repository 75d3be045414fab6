"""ROUGE-L of spans."""

from __future__ import annotations

from autosurrogate import metric
from autosurrogate.metrics import _rouge

COMPUTED_BY = "rouge-score"


# Of single answers most score 0 or 1: there would be little to rank.
@metric("span_rougeL", task="span", level="set", view="text", set_size=64)
def span_rougeL(preds: list[str], target: list[list[str]]) -> float:
    """ROUGE-L of answers (Lin, ACL 2004) as rouge-score computes it, the mean over the answers, in [0, 1].

    The F-measure of the longest common subsequence of words, which are runs of letters a to z and digits, in lower
    case, not stemmed; the best of several right answers counts. NaN for a set without answers.

    Args:
        preds: answers.
        target: the right answers to each question, one or more.

    >>> span_rougeL(["the tower of London", "in May"], [["London", "tower of London"], ["May"]])
    0.7619047619047619
    """
    if not preds:
        return float("nan")
    scorer = _rouge.scorer("rougeL")
    scores = [scorer.score_multi(right, answer) for answer, right in zip(preds, target, strict=True)]
    return float(sum(score["rougeL"].fmeasure for score in scores) / len(preds))
