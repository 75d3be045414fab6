from __future__ import annotations

import pytest
import sacrebleu
from hypothesis import given
from hypothesis import strategies as st
from nltk.translate.bleu_score import sentence_bleu

from autosurrogate.metrics.bleu import bleu
from autosurrogate.registry.lookup import find

SENTENCES = st.lists(st.integers(0, 6), max_size=12).map(lambda tokens: " ".join(map(str, tokens)))
WORDS = st.lists(st.sampled_from(["don't", "3,000.5", "(", "&quot;", ".", "Ça"]), max_size=8).map(" ".join)


@given(SENTENCES, SENTENCES)
def test_it_is_sacrebleu_s(preds: str, target: str) -> None:
    assert bleu(preds, target) == sacrebleu.sentence_bleu(preds, [target], tokenize="none").score


@given(WORDS, WORDS)
def test_tokens_are_taken_as_they_are(preds: str, target: str) -> None:
    vocabulary = {word: str(i) for i, word in enumerate(sorted({*preds.split(), *target.split()}))}
    numbered = [" ".join(vocabulary[word] for word in text.split()) for text in (preds, target)]
    assert bleu(preds, target) == bleu(*numbered)


@pytest.mark.parametrize(
    ("preds", "target"),
    [("1 2 3 4 5 6", "1 2 3 4 5 7"), ("1 2 3 4", "1 2 3 4 5 6 7 8"), ("9 1 2 3 4 1 2 3 4 9", "1 2 3 4 8 8")],
)
def test_where_every_order_matches_it_is_nltk_s(preds: str, target: str) -> None:
    assert bleu(preds, target) == pytest.approx(100 * sentence_bleu([target.split()], preds.split()), rel=1e-12)


@given(SENTENCES.filter(bool))
def test_the_reference_itself_scores_100_and_others_less(target: str) -> None:
    assert bleu(target, target) == pytest.approx(100, abs=1e-9)
    assert bleu(f"{target} 7", target) < 100 - 1e-3


@pytest.mark.parametrize(("preds", "target"), [("", "1 2 3"), ("1 2 3", ""), ("", ""), ("4 5", "1 2 3")])
def test_without_a_common_token_it_is_0(preds: str, target: str) -> None:
    assert bleu(preds, target) == 0.0


def test_it_says_nothing(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    for _ in range(120):
        bleu("7 .", "7 8 .")
    assert caplog.text == ""
    assert capfd.readouterr() == ("", "")


def test_its_declaration() -> None:
    found = find("bleu")
    assert (found.task, found.level, found.view, found.set_size) == ("sequence", "sample", "text", 1)
    assert found.higher_is_better
    assert (found.spec, found.source) == ("bleu", "sacrebleu")
