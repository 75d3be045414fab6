from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nltk.translate.gleu_score import corpus_gleu

from autosurrogate.metrics.gleu import gleu
from autosurrogate.registry.lookup import find

TOKENS = st.lists(st.integers(0, 6), max_size=12)


def grams(tokens: list[int]) -> Counter[tuple[int, ...]]:
    return Counter(tuple(tokens[i : i + n]) for n in (1, 2, 3, 4) for i in range(len(tokens) - n + 1))


@given(TOKENS, TOKENS)
def test_it_is_the_smaller_of_precision_and_recall(preds: list[int], target: list[int]) -> None:
    ours, theirs = grams(preds), grams(target)
    common = (ours & theirs).total()
    expected = min(common / max(ours.total(), 1), common / max(theirs.total(), 1))
    assert gleu(preds, target) == pytest.approx(expected, rel=1e-12)


@given(TOKENS, TOKENS)
def test_it_is_nltk_s_of_a_corpus_of_one(preds: list[int], target: list[int]) -> None:
    assert gleu(preds, target) == corpus_gleu([[target]], [preds])


@given(TOKENS.filter(bool))
def test_the_reference_itself_scores_1_and_others_less(target: list[int]) -> None:
    assert gleu(target, target) == 1.0
    assert gleu([*target, 7], target) < 1.0


@pytest.mark.parametrize(("preds", "target"), [([], [1, 2]), ([1, 2], []), ([], []), ([4], [1, 2])])
def test_without_a_common_token_it_is_0(preds: list[int], target: list[int]) -> None:
    assert gleu(preds, target) == 0.0


def test_its_declaration() -> None:
    found = find("gleu")
    assert (found.task, found.level, found.view, found.set_size) == ("sequence", "sample", "tokens", 1)
    assert found.higher_is_better
    assert (found.spec, found.source) == ("gleu", "nltk")
