from __future__ import annotations

import math

import nltk
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autosurrogate.metrics.cer import cer
from autosurrogate.metrics.wer import wer
from autosurrogate.registry.lookup import find

TOKENS = st.lists(st.integers(0, 4), max_size=8)
CORPORA = st.lists(st.tuples(TOKENS, TOKENS.filter(bool)), min_size=1, max_size=6)


@given(CORPORA)
def test_it_is_the_edits_of_all_by_the_tokens_of_all(corpus: list[tuple[list[int], list[int]]]) -> None:
    edits = sum(nltk.edit_distance(preds, target) for preds, target in corpus)
    found = wer([preds for preds, _ in corpus], [target for _, target in corpus])
    assert found == edits / sum(len(target) for _, target in corpus)


@given(TOKENS, TOKENS.filter(bool))
def test_of_one_example_it_is_its_cer(preds: list[int], target: list[int]) -> None:
    assert wer([preds], [target]) == cer(preds, target)


def test_it_is_no_mean_of_examples() -> None:
    assert wer([[1, 2, 3, 4], [9]], [[1, 2, 3, 4], [8]]) == pytest.approx(1 / 5)


def test_empty_references_count_what_was_written() -> None:
    assert wer([[1], [2, 3]], [[], [2, 3]]) == 0.5
    assert math.isnan(wer([[1]], [[]]))
    assert math.isnan(wer([], []))


def test_its_declaration() -> None:
    found = find("wer")
    assert (found.task, found.level, found.view, found.set_size) == ("sequence", "set", "tokens", 16)
    assert not found.higher_is_better
    assert (found.spec, found.source) == ("wer", "editdistance")
