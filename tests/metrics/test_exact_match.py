from __future__ import annotations

import math

import editdistance
from hypothesis import given
from hypothesis import strategies as st

from autosurrogate.metrics.exact_match import exact_match
from autosurrogate.registry.lookup import find

TOKENS = st.lists(st.integers(0, 1), max_size=3)
CORPORA = st.lists(st.tuples(TOKENS, TOKENS), min_size=1, max_size=8)


@given(CORPORA)
def test_it_is_the_share_without_edits(corpus: list[tuple[list[int], list[int]]]) -> None:
    n_right = sum(editdistance.eval(preds, target) == 0 for preds, target in corpus)
    assert exact_match([preds for preds, _ in corpus], [target for _, target in corpus]) == n_right / len(corpus)


def test_an_empty_set_has_none() -> None:
    assert math.isnan(exact_match([], []))


def test_its_declaration() -> None:
    found = find("exact_match")
    assert (found.task, found.level, found.view, found.set_size) == ("sequence", "set", "tokens", 16)
    assert found.higher_is_better
    assert (found.spec, found.source) == ("exact_match", "python")
