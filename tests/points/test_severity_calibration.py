from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autosurrogate.points.sampling import generator_of
from autosurrogate.points.severity_calibration import Severities, calibrate, coverage


@pytest.mark.parametrize("direction", [1, -1])
def test_calibration_makes_a_metric_even_that_severity_alone_does_not(direction: int) -> None:
    severity = np.repeat(np.linspace(0, 1, 17), 50)
    noise = np.random.default_rng(0).normal(scale=0.01, size=len(severity))
    severities = calibrate(severity, direction * ((1 - severity) ** 3 + noise))
    drawn = severities.draw(20_000, generator_of(0)).double().numpy()
    assert coverage((1 - drawn) ** 3) > 0.97
    evenly = np.random.default_rng(1).random(20_000)
    assert coverage((1 - evenly) ** 3) < 0.9  # the check can fail


def test_severities_are_drawn_by_their_weights_and_about_their_levels() -> None:
    drawn = Severities((0.0, 0.5, 1.0), (1.0, 3.0, 0.0)).draw(4_000, generator_of(0)).numpy()
    assert (drawn >= 0).all()
    assert (np.abs(drawn - 0.5) < 1 / 32).mean() == pytest.approx(0.75, abs=0.03)
    assert (drawn > 0.9).sum() == 0


def test_calibration_leaves_out_a_level_without_values() -> None:
    severities = calibrate(np.array([0.0, 0.5, 0.5, 1.0]), np.array([1.0, np.nan, np.nan, 0.0]))
    assert severities.levels == (0.0, 1.0)
    assert severities.weights[0] == pytest.approx(severities.weights[1])


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=60))
def test_coverage_is_a_fraction(values: list[float]) -> None:
    assert 0.1 - 1e-9 <= coverage(np.array(values)) <= 1 + 1e-9


def test_coverage_of_one_value_is_a_tenth_and_of_even_values_1() -> None:
    assert coverage(np.full(7, 3.0)) == pytest.approx(0.1)
    assert coverage(np.linspace(-5, 5, 1000)) == pytest.approx(1)


def test_values_that_are_equal_but_for_rounding_cover_one_bin() -> None:
    assert coverage(np.array([1.0, 1 - 1.2e-16, 1.0])) == 0.1
