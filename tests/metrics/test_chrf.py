from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autosurrogate.metrics.chrf import chrf
from autosurrogate.registry.lookup import find

WORDS = st.lists(st.text("abc", min_size=1, max_size=6), max_size=8).map(" ".join)


def shares(preds: str, target: str, order: int) -> tuple[float, float] | None:
    """Precision and recall; None where a side has no n-grams of the order."""
    ours, theirs = (Counter(text[i : i + order] for i in range(len(text) - order + 1)) for text in (preds, target))
    if not ours or not theirs:
        return None
    common = (ours & theirs).total()
    return common / ours.total(), common / theirs.total()


@given(WORDS, WORDS)
def test_it_is_the_f_score_of_mean_precision_and_recall_where_recall_weighs_twice(preds: str, target: str) -> None:
    joined = preds.replace(" ", ""), target.replace(" ", "")
    of_orders = [found for order in range(1, 7) if (found := shares(*joined, order)) is not None]
    precision, recall = (sum(one) / len(of_orders) for one in zip(*of_orders, strict=True)) if of_orders else (0.0, 0.0)
    expected = 100 * 5 * precision * recall / (4 * precision + recall) if precision + recall else 0.0
    assert chrf(preds, target) == pytest.approx(expected, abs=1e-6)


@given(WORDS.filter(bool))
def test_the_reference_itself_scores_100(target: str) -> None:
    assert chrf(target, target) == pytest.approx(100)


def test_words_count_on_request() -> None:
    assert chrf("the cat sat", "the cat sits", word_order=2) < chrf("the cat sat", "the cat sits")
    assert find("chrf?word_order=2").function("a b", "a b") == pytest.approx(100)


def test_its_declaration() -> None:
    found = find("chrf")
    assert (found.task, found.level, found.view) == ("sequence", "sample", "text")
    assert found.higher_is_better
    assert (found.spec, found.source) == ("chrf", "sacrebleu")
