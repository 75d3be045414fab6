from __future__ import annotations

import math

import numpy as np
import pytest
import sacrebleu
from hypothesis import given
from hypothesis import strategies as st
from nltk.translate.bleu_score import sentence_bleu

from autosurrogate.metrics.span_bleu4 import span_bleu4
from autosurrogate.registry.lookup import find

TEXTS = st.lists(st.sampled_from(["The", "the", "old", "town", "of", "Ulm,", "(1879)", "-"]), max_size=8).map(" ".join)
GOLDS = st.lists(TEXTS, min_size=1, max_size=3)


@given(TEXTS, GOLDS)
def test_it_is_sacrebleu_s_with_all_golds_as_references(answer: str, golds: list[str]) -> None:
    assert span_bleu4([answer], [golds]) == sacrebleu.sentence_bleu(answer, golds).score


@pytest.mark.parametrize(
    ("answer", "golds"),
    [
        ("the old town of Ulm", ["an old town of Ulm in 1879", "the old town of Ulm"]),
        ("the old town of Ulm and more", ["the old town of Ulm", "old town of Ulm in 1879"]),
    ],
)
def test_where_every_order_matches_it_is_nltk_s(answer: str, golds: list[str]) -> None:
    expected = 100 * sentence_bleu([gold.split() for gold in golds], answer.split())
    assert span_bleu4([answer], [golds]) == pytest.approx(expected, rel=1e-12)


@given(st.lists(st.tuples(TEXTS, GOLDS), min_size=1, max_size=5))
def test_a_set_has_the_mean_of_its_answers(pairs: list[tuple[str, list[str]]]) -> None:
    each = [span_bleu4([answer], [golds]) for answer, golds in pairs]
    assert span_bleu4([a for a, _ in pairs], [g for _, g in pairs]) == pytest.approx(np.mean(each), abs=1e-9)


def test_a_short_answer_that_is_right_scores_100() -> None:
    for answer in ("Ulm", "in Ulm", "in 1879 ,", "the old town of Ulm"):
        assert span_bleu4([answer], [[answer, "other"]]) == pytest.approx(100, abs=1e-9)


def test_an_answer_without_words_scores_0_and_a_set_without_answers_nothing() -> None:
    assert span_bleu4([""], [["Ulm"]]) == span_bleu4(["Ulm"], [[""]]) == 0.0
    assert math.isnan(span_bleu4([], []))


def test_it_says_nothing(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    span_bleu4(["7 ."] * 120, [["7 8 ."]] * 120)
    assert caplog.text == ""
    assert capfd.readouterr() == ("", "")


def test_its_declaration() -> None:
    found = find("span_bleu4")
    assert (found.task, found.level, found.view, found.set_size) == ("span", "set", "text", 64)
    assert found.higher_is_better
    assert (found.spec, found.source) == ("span_bleu4", "sacrebleu")
