from __future__ import annotations

import math
import re
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from autosurrogate.metrics.span_rougeL import span_rougeL
from autosurrogate.registry.lookup import find

TEXTS = st.lists(st.sampled_from(["The", "the", "old", "town", "of", "Ulm,", "(1879)", "-", "ä"]), max_size=7).map(
    " ".join
)
GOLDS = st.lists(TEXTS, min_size=1, max_size=3)


def by_recursion(answer: str, gold: str) -> float:
    """F-measure of the longest common subsequence of words, from its definition."""
    a, b = (re.findall(r"[a-z0-9]+", text.lower()) for text in (answer, gold))

    @cache
    def longest(i: int, j: int) -> int:
        if i == len(a) or j == len(b):
            return 0
        return 1 + longest(i + 1, j + 1) if a[i] == b[j] else max(longest(i + 1, j), longest(i, j + 1))

    return 2 * longest(0, 0) / (len(a) + len(b)) if longest(0, 0) else 0.0


@given(TEXTS, GOLDS)
def test_it_is_rouge_l_with_the_best_gold(answer: str, golds: list[str]) -> None:
    found = span_rougeL([answer], [golds])
    assert found == pytest.approx(max(by_recursion(answer, gold) for gold in golds), abs=1e-12)
    scorer = RougeScorer(["rougeL"], use_stemmer=False)
    assert found == pytest.approx(max(scorer.score(gold, answer)["rougeL"].fmeasure for gold in golds), abs=1e-12)


@given(st.lists(st.tuples(TEXTS, GOLDS), min_size=1, max_size=5))
def test_a_set_has_the_mean_of_its_answers(pairs: list[tuple[str, list[str]]]) -> None:
    each = [span_rougeL([answer], [golds]) for answer, golds in pairs]
    assert span_rougeL([a for a, _ in pairs], [g for _, g in pairs]) == pytest.approx(np.mean(each), abs=1e-12)


def test_an_answer_without_words_scores_0_and_a_set_without_answers_nothing() -> None:
    assert span_rougeL([""], [["Ulm"]]) == span_rougeL(["Ulm"], [["--"]]) == span_rougeL([""], [[""]]) == 0.0
    assert math.isnan(span_rougeL([], []))


def test_its_declaration() -> None:
    found = find("span_rougeL")
    assert (found.task, found.level, found.view, found.set_size) == ("span", "set", "text", 64)
    assert found.higher_is_better
    assert (found.spec, found.source) == ("span_rougeL", "rouge-score")
