from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autosurrogate.errors import OptionError
from autosurrogate.metrics.mean_distance import mean_distance
from autosurrogate.registry.lookup import find

PLACES = st.lists(st.tuples(*[st.integers(0, 30)] * 4, st.sampled_from([0.0, 0.5, 1.0])), min_size=1, max_size=6)
MEASURES = {"size": np.float64(31), "normaliser": np.float64(4)}


@given(PLACES, st.sampled_from(["size", "given"]))
def test_it_is_the_mean_over_annotated_keypoints(
    places: list[tuple[int, int, int, int, float]], normaliser: str
) -> None:
    array = np.array(places, dtype=float)
    target = {"keypoints": array[:, 2:4], "weight": array[:, 4], **MEASURES}
    found = mean_distance({"keypoints": array[:, :2]}, target, normaliser=normaliser)
    each = [math.hypot(a - c, b - d) / (31 if normaliser == "size" else 4) for a, b, c, d, w in places if w]
    assert found == pytest.approx(sum(each) / len(each) if each else math.nan, rel=1e-12, nan_ok=True)


def test_another_normaliser_is_refused() -> None:
    target = {"keypoints": np.zeros((1, 2)), "weight": np.ones(1), **MEASURES}
    with pytest.raises(OptionError, match="normaliser='torso': expected 'size' or 'given'"):
        mean_distance({"keypoints": np.zeros((1, 2))}, target, normaliser="torso")


def test_its_declaration() -> None:
    found = find("mean_distance")
    assert (found.task, found.level, found.view, found.set_size) == ("heatmap", "sample", "keypoints", 1)
    assert not found.higher_is_better
    assert (found.spec, found.source) == ("mean_distance", "numpy")
