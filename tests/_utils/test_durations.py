from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autosurrogate._utils.durations import seconds
from autosurrogate.errors import OptionError


@given(st.integers(0, 99), st.integers(0, 99), st.integers(1, 99))
def test_hours_minutes_and_seconds_add_up(hours: int, minutes: int, rest: int) -> None:
    assert seconds(f"{hours}h{minutes}m{rest}s") == 3600 * hours + 60 * minutes + rest
    assert seconds(f"{minutes}m{rest}") == 60 * minutes + rest


@pytest.mark.parametrize(("text", "expected"), [("0.5h", 1800), (" 90 ", 90), (12, 12), (2.5, 2.5), ("1.5m", 90)])
def test_numbers_and_fractions_are_durations(text: str | float, expected: float) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize(
    "text", ["", "soon", "5x", "m", "-5m", "0", "0s", "1m1h", "5 m", "1e3", "nan", "inf", "9" * 400]
)
def test_all_else_is_none(text: str) -> None:
    with pytest.raises(OptionError, match=r"--budget .*: is not a duration; expected seconds or units such as 90s, 5m"):
        seconds(text)
