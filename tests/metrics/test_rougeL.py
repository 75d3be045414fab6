from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from autosurrogate.metrics.rougeL import rougeL
from autosurrogate.registry.lookup import find

SENTENCES = st.lists(st.integers(0, 4), max_size=8).map(lambda tokens: " ".join(map(str, tokens)))


@given(SENTENCES, SENTENCES)
def test_it_is_rouge_score_s(preds: str, target: str) -> None:
    assert rougeL(preds, target) == RougeScorer(["rougeL"]).score_multi([target], preds)["rougeL"].fmeasure


def longest_common(ours: list[str], theirs: list[str]) -> int:
    return max(n for n in range(len(ours) + 1) if set(combinations(ours, n)) & set(combinations(theirs, n)))


@given(SENTENCES, SENTENCES)
def test_it_is_the_share_of_the_longest_common_subsequence(preds: str, target: str) -> None:
    ours, theirs = preds.split(), target.split()
    expected = 2 * longest_common(ours, theirs) / max(len(ours) + len(theirs), 1)
    assert rougeL(preds, target) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("preds", "target"), [("", "1 2 3"), ("1 2 3", ""), ("", ""), ("4 5", "1 2 3")])
def test_without_a_common_token_it_is_0(preds: str, target: str) -> None:
    assert rougeL(preds, target) == 0.0


def test_its_declaration() -> None:
    found = find("rougeL")
    assert (found.task, found.level, found.view, found.set_size) == ("sequence", "sample", "text", 1)
    assert found.higher_is_better
    assert (found.spec, found.source) == ("rougeL", "rouge-score")
