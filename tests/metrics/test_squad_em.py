from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import squad_oracle
from hypothesis import given
from hypothesis import strategies as st

from autosurrogate.metrics.squad_em import squad_em
from autosurrogate.registry.lookup import find

PARTS = ["the ", "The ", "a ", "an ", "Ulm ", "ulm ", "U.S.", "'s", ",", " ", "\u2013", "-", "b", "ä", "l\u2019a "]
TEXTS = st.lists(st.sampled_from(PARTS), max_size=4).map("".join)
GOLDS = st.lists(TEXTS, min_size=1, max_size=3)


@given(TEXTS, GOLDS)
def test_it_is_whether_the_words_that_count_are_those_of_a_gold(answer: str, golds: list[str]) -> None:
    assert squad_em([answer], [golds]) == squad_oracle.exact(answer, golds)


@pytest.mark.parametrize(
    ("answer", "golds", "expected"),
    [
        ("The Eiffel tower!", ["Paris", "eiffel  Tower"], 1),
        ("tower Eiffel", ["Eiffel tower"], 0),
        ("in May", ["May"], 0),
        ("", ["Ulm"], 0),
        ("the", ["a"], 1),  # as in SQuAD's own: nothing is left of either
    ],
)
def test_worked_examples(answer: str, golds: list[str], expected: float) -> None:
    assert squad_em([answer], [golds]) == expected


@given(st.lists(st.tuples(TEXTS, GOLDS), min_size=1, max_size=5))
def test_a_set_has_the_mean_of_its_answers(pairs: list[tuple[str, list[str]]]) -> None:
    each = [squad_em([answer], [golds]) for answer, golds in pairs]
    assert squad_em([a for a, _ in pairs], [g for _, g in pairs]) == pytest.approx(np.mean(each), abs=1e-12)


def test_a_set_without_answers_has_none() -> None:
    assert math.isnan(squad_em([], []))


def test_real_systems_have_the_exact_match_that_is_listed(data: Path) -> None:
    for system, pairs in squad_oracle.system_answers(data).items():
        found = 100 * squad_em([answer for answer, _ in pairs], [golds for _, golds in pairs])
        assert found == pytest.approx(squad_oracle.LISTED[system][0], abs=0.005), system


def test_its_declaration() -> None:
    found = find("squad_em")
    assert (found.task, found.level, found.view, found.set_size) == ("span", "set", "text", 64)
    assert found.higher_is_better
    assert (found.spec, found.source) == ("squad_em", "autosurrogate")
