from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import squad_oracle
from hypothesis import given
from hypothesis import strategies as st

from autosurrogate.metrics.squad_f1 import squad_f1
from autosurrogate.registry.lookup import find

PARTS = "the The a an An Ulm ulm U.S. 's , ( \u2013 - b 1,000 ä _ l\u2019a".split()
TEXTS = st.lists(st.tuples(st.sampled_from(PARTS), st.sampled_from([" ", "", "  ", "\t"])), max_size=8).map(
    lambda parts: "".join(word + space for word, space in parts)
)
GOLDS = st.lists(TEXTS, min_size=1, max_size=3)


@given(TEXTS, GOLDS)
def test_it_is_f1_of_the_words_that_count_with_the_best_gold(answer: str, golds: list[str]) -> None:
    assert squad_f1([answer], [golds]) == pytest.approx(squad_oracle.f1(answer, golds), abs=1e-12)


@pytest.mark.parametrize(
    ("answer", "golds", "expected"),
    [
        ("The Eiffel tower!", ["eiffel  Tower"], 1),
        ("in May 1889", ["May 1889", "1889"], 2 * 2 / 5),
        ("New York, New York", ["New York"], 2 * 2 / 6),  # a word counts as often as both have it
        ("theatre", ["atre", "the atre"], 0),  # no article inside a word
        ("U.S.", ["us"], 1),
        ("", ["Ulm"], 0),
        ("the", ["a"], 0),  # no word that counts on either side
    ],
)
def test_worked_examples(answer: str, golds: list[str], expected: float) -> None:
    assert squad_f1([answer], [golds]) == pytest.approx(expected, abs=1e-12)


@given(st.lists(st.tuples(TEXTS, GOLDS), min_size=1, max_size=5))
def test_a_set_has_the_mean_of_its_answers(pairs: list[tuple[str, list[str]]]) -> None:
    each = [squad_f1([answer], [golds]) for answer, golds in pairs]
    assert squad_f1([a for a, _ in pairs], [g for _, g in pairs]) == pytest.approx(np.mean(each), abs=1e-12)


def test_a_set_without_answers_has_none() -> None:
    assert math.isnan(squad_f1([], []))


@pytest.mark.slow
def test_real_systems_have_the_f1_that_is_listed(data: Path) -> None:
    for system, pairs in squad_oracle.system_answers(data).items():
        found = 100 * squad_f1([answer for answer, _ in pairs], [golds for _, golds in pairs])
        assert found == pytest.approx(squad_oracle.LISTED[system][1], abs=0.005), system


def test_its_declaration() -> None:
    found = find("squad_f1")
    assert (found.task, found.level, found.view, found.set_size) == ("span", "set", "text", 64)
    assert found.higher_is_better
    assert (found.spec, found.source) == ("squad_f1", "autosurrogate")
