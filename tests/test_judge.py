from __future__ import annotations

from typing import Any

import pytest

from autosurrogate.judge import shortfalls


def metadata(loss: float = 0.9, regular: float = 0.5, gain: float = 1.0, error: float = 0.1, regular_gain: float = 0.5):
    found: dict[str, Any] = {
        "held_out": {"loss": {"spearman": loss}, "regular": {"spearman": regular}},
        "descent": {"gain": gain, "gain_error": error, "regular_gain": regular_gain},
    }
    return found


def test_a_good_loss_falls_short_in_nothing() -> None:
    assert shortfalls(metadata()) == []


@pytest.mark.parametrize(
    ("figures", "message"),
    [
        (
            {"loss": -0.2},
            "its Spearman correlation on held-out generated points is -20.0: it does not follow the metric",
        ),
        ({"loss": float("nan")}, "generated points is nan: it does not follow the metric"),
        ({"loss": 0.5}, "its Spearman correlation on held-out generated points is 50.0, the regular loss's 50.0"),
        ({"gain": 0.39}, r"its gain in the descent check is 0.39 (standard error 0.1), the regular loss's 0.5"),
        ({"gain": float("nan")}, "its gain in the descent check is nan"),
    ],
)
def test_what_falls_short_is_told_with_its_figures(figures: dict[str, float], message: str) -> None:
    (found,) = shortfalls(metadata(**figures))
    assert message in found


def test_a_gain_within_its_standard_error_of_the_regular_loss_s_is_as_good() -> None:
    assert shortfalls(metadata(gain=0.41)) == []


def test_recorded_outputs_count_as_well() -> None:
    both = {**metadata(), "held_out_recorded": {"loss": {"spearman": 0.3}, "regular": {"spearman": 0.4}}}
    assert shortfalls(both) == [
        "its Spearman correlation on held-out recorded outputs is 30.0, the regular loss's 40.0"
    ]
