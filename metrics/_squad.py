"""Comparison of answers to questions (SQuAD: Rajpurkar et al., EMNLP 2016, section 6.1)."""

from __future__ import annotations

import re
import string
from collections import Counter

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def words(answer: str) -> list[str]:
    """The words that count: in lower case, without ASCII punctuation, and without a, an and the.

    >>> words("The Ann-Arbor  (U.S.)")
    ['annarbor', 'us']
    """
    return _ARTICLES.sub(" ", answer.lower().translate(_NO_PUNCTUATION)).split()


def exact(answer: str, right: list[str]) -> float:
    """1 where the words are those of one of the right answers, in order, else 0."""
    answer_words = words(answer)
    return float(any(answer_words == words(other) for other in right))


def f1(answer: str, right: list[str]) -> float:
    """F1 of the words, each as often as it occurs, with the best of the right answers; 0 without common words.

    >>> f1("the old town of Ulm", ["Ulm", "town of Ulm"])  # 3 in common, of 4 and of 3
    0.8571428571428571
    """
    answer_words = words(answer)
    return max((_f1(answer_words, words(other)) for other in right), default=0.0)


def _f1(answer_words: list[str], right: list[str]) -> float:
    n_common = sum((Counter(answer_words) & Counter(right)).values())
    return 2 * n_common / (len(answer_words) + len(right)) if n_common else 0.0
