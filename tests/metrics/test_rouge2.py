from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from autosurrogate.metrics.rouge2 import rouge2
from autosurrogate.registry.lookup import find

SENTENCES = st.lists(st.integers(0, 4), max_size=12).map(lambda tokens: " ".join(map(str, tokens)))


@given(SENTENCES, SENTENCES)
def test_it_is_rouge_score_s(preds: str, target: str) -> None:
    assert rouge2(preds, target) == RougeScorer(["rouge1", "rouge2"]).score_multi([target], preds)["rouge2"].fmeasure


@given(SENTENCES, SENTENCES)
def test_it_is_the_share_of_common_pairs(preds: str, target: str) -> None:
    ours, theirs = (Counter(zip(s.split(), s.split()[1:], strict=False)) for s in (preds, target))
    common = (ours & theirs).total()
    assert rouge2(preds, target) == pytest.approx(2 * common / max(ours.total() + theirs.total(), 1), rel=1e-12)


@pytest.mark.parametrize(("preds", "target"), [("", "1 2 3"), ("1", "1"), ("", ""), ("1 3 2", "1 2 3")])
def test_without_a_common_pair_it_is_0(preds: str, target: str) -> None:
    assert rouge2(preds, target) == 0.0


def test_its_declaration() -> None:
    found = find("rouge2")
    assert (found.task, found.level, found.view, found.set_size) == ("sequence", "sample", "text", 1)
    assert found.higher_is_better
    assert (found.spec, found.source) == ("rouge2", "rouge-score")
