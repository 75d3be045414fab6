"""How answers to questions are compared (SQuAD: Rajpurkar et al., EMNLP 2016, section 6.1)."""

from __future__ import annotations

import re
import string
from collections import Counter

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def words(answer: str) -> list[str]:
    """The words that count: lower case, without the punctuation of ASCII, and then without a, an and the.

    >>> words("The Ann-Arbor  (U.S.)")
    ['annarbor', 'us']
    """
    return _ARTICLES.sub(" ", answer.lower().translate(_NO_PUNCTUATION)).split()


def exact(answer: str, right: list[str]) -> float:
    """1 where the words are those of one of the right answers, in order, else 0."""
    found = words(answer)
    return float(any(found == words(one) for one in right))


def f1(answer: str, right: list[str]) -> float:
    """F1 of the words, each as often as it occurs, with the right answer for which it is largest; 0 if none is common.

    >>> f1("the old town of Ulm", ["Ulm", "town of Ulm"])  # 3 in common, of 4 and of 3
    0.8571428571428571
    """
    found = words(answer)
    return max((_f1(found, words(one)) for one in right), default=0.0)


def _f1(found: list[str], right: list[str]) -> float:
    n_common = sum((Counter(found) & Counter(right)).values())
    return 2 * n_common / (len(found) + len(right)) if n_common else 0.0
