from __future__ import annotations

import math

import pytest
import sacrebleu
from hypothesis import given
from hypothesis import strategies as st
from nltk.translate import bleu_score

from autosurrogate.metrics.bleu import bleu
from autosurrogate.metrics.corpus_bleu import corpus_bleu
from autosurrogate.registry.lookup import find

SENTENCES = st.lists(st.integers(0, 6), max_size=12).map(lambda tokens: " ".join(map(str, tokens)))
CORPORA = st.lists(st.tuples(SENTENCES, SENTENCES), min_size=1, max_size=8).map(
    lambda pairs: ([p for p, _ in pairs], [t for _, t in pairs])
)


@given(CORPORA)
def test_it_is_sacrebleu_s(corpus: tuple[list[str], list[str]]) -> None:
    preds, target = corpus
    assert corpus_bleu(preds, target) == sacrebleu.corpus_bleu(preds, [target], tokenize="none").score


def test_where_every_order_matches_it_is_nltk_s() -> None:
    preds, target = ["1 2 3 4 5", "6 7 8 9", "1 2 3 5"], ["1 2 3 4 6 6 6", "6 7 8 9", "1 2 3 6"]
    nltk_s = bleu_score.corpus_bleu([[t.split()] for t in target], [p.split() for p in preds])
    assert corpus_bleu(preds, target) == pytest.approx(100 * nltk_s, rel=1e-12)


@given(CORPORA)
def test_the_order_of_the_sentences_does_not_matter(corpus: tuple[list[str], list[str]]) -> None:
    preds, target = corpus
    assert corpus_bleu(preds[::-1], target[::-1]) == corpus_bleu(preds, target)


def test_it_is_no_mean_of_sentences() -> None:
    preds, target = ["1 2 3 4 5", "9"], ["1 2 3 4 5", "8"]
    assert corpus_bleu(preds, target) != pytest.approx((bleu(preds[0], target[0]) + bleu(preds[1], target[1])) / 2)


def test_empty_hypotheses_score_0_and_an_empty_set_nothing() -> None:
    assert corpus_bleu(["", ""], ["1 2", "3"]) == 0.0
    assert corpus_bleu(["", ""], ["", ""]) == 0.0
    assert math.isnan(corpus_bleu([], []))


def test_it_says_nothing_about_lines_that_end_in_a_full_stop(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    corpus_bleu(["7 ."] * 120, ["7 8 ."] * 120)
    assert caplog.text == ""
    assert capfd.readouterr() == ("", "")


def test_its_declaration() -> None:
    found = find("corpus_bleu")
    assert (found.task, found.level, found.view, found.set_size) == ("sequence", "set", "text", 16)
    assert found.higher_is_better
    assert (found.spec, found.source) == ("corpus_bleu", "sacrebleu")
