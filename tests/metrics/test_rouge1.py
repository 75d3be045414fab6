from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from autosurrogate.metrics.rouge1 import rouge1
from autosurrogate.registry.lookup import find

SENTENCES = st.lists(st.integers(0, 30), max_size=12).map(lambda tokens: " ".join(map(str, tokens)))


@given(SENTENCES, SENTENCES)
def test_it_is_rouge_score_s(preds: str, target: str) -> None:
    assert rouge1(preds, target) == RougeScorer(["rouge1", "rougeL"]).score_multi([target], preds)["rouge1"].fmeasure


@given(SENTENCES, SENTENCES)
def test_it_is_the_share_of_common_tokens(preds: str, target: str) -> None:
    ours, theirs = preds.split(), target.split()
    common = (Counter(ours) & Counter(theirs)).total()
    assert rouge1(preds, target) == pytest.approx(2 * common / max(len(ours) + len(theirs), 1), rel=1e-12)


def test_numbers_are_taken_as_they_are() -> None:
    assert rouge1("12 1000 7", "1 2 1000 07") == pytest.approx(2 / 7)  # 12 is not 1 and 2, 7 is not 07


def test_the_order_does_not_matter() -> None:
    assert rouge1("1 2 3 4", "4 2 3 1") == 1.0


@pytest.mark.parametrize(("preds", "target"), [("", "1 2 3"), ("1 2 3", ""), ("", ""), ("4 5", "1 2 3")])
def test_without_a_common_token_it_is_0(preds: str, target: str) -> None:
    assert rouge1(preds, target) == 0.0


def test_it_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    rouge1("7", "7 8")
    assert capfd.readouterr() == ("", "")


def test_its_declaration() -> None:
    found = find("rouge1")
    assert (found.task, found.level, found.view, found.set_size) == ("sequence", "sample", "text", 1)
    assert found.higher_is_better
    assert (found.spec, found.source) == ("rouge1", "rouge-score")
