from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autosurrogate.errors import OptionError
from autosurrogate.metrics.pck import pck
from autosurrogate.registry.lookup import find

#: PCKh@0.5 of the published predictions, in percent (README of the data).
PUBLISHED = {
    "rank": 78.9, "lank": 79.2, "rkne": 83.5, "lkne": 82.7, "rhip": 88.0, "lhip": 87.0, "rwri": 83.3, "lwri": 83.5,
    "relb": 88.4, "lelb": 88.6, "rsho": 94.2, "lsho": 95.1, "head": 95.9,
}  # fmt: skip

Item = dict[str, np.ndarray]


def people(seed: int, n: int = 5, n_keypoints: int = 4) -> tuple[list[Item], list[Item]]:
    drawn = np.random.default_rng(seed)
    preds, target = [], []
    for _ in range(n):
        where = drawn.integers(0, 24, (n_keypoints, 2)).astype(float)
        preds.append({"keypoints": where + drawn.integers(-2, 3, where.shape), "scores": drawn.random(n_keypoints)})
        weight = (drawn.random(n_keypoints) < 0.7).astype(float)
        measures = {"size": np.float64(24), "normaliser": np.float64(drawn.uniform(3, 9))}
        target.append({"keypoints": where, "weight": weight, **measures})
    return preds, target


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.02, 0.05, 0.1, 0.5]), st.sampled_from(["size", "normaliser"]))
def test_it_is_the_share_of_annotated_keypoints_within_reach(seed: int, threshold: float, divisor: str) -> None:
    preds, target = people(seed)
    found = [
        math.dist(p, t) <= threshold * float(theirs[divisor]) + 1e-12
        for ours, theirs in zip(preds, target, strict=True)
        for p, t, w in zip(ours["keypoints"], theirs["keypoints"], theirs["weight"], strict=True)
        if w
    ]
    named = "size" if divisor == "size" else "given"
    expected = sum(found) / len(found) if found else math.nan
    got = pck(preds, target, threshold=threshold, normaliser=named)
    assert got == pytest.approx(expected, abs=1e-12, nan_ok=True)


@pytest.mark.parametrize("size", range(10, 100, 10))
@pytest.mark.parametrize("threshold", [0.05, 0.1, 0.2, 0.3, 0.7])
def test_a_keypoint_as_far_as_the_threshold_is_found(size: int, threshold: float) -> None:
    n_cells = round(threshold * size * 2) / 2
    item = {"weight": np.ones(1), "size": np.float64(size), "keypoints": np.zeros((1, 2))}
    for cells, expected in ((n_cells, float(n_cells <= round(threshold * size, 9))), (n_cells + 1, 0.0)):
        assert pck([{"keypoints": np.array([[0.0, cells]])}], [item], threshold=threshold) == expected


def test_pckh_of_published_predictions(data: Path) -> None:
    file = np.load(data / "pose" / "mpii_valid_predictions.npz")
    annotated = ~(file["keypoints"] == 0).all(2)
    found = {}
    for j, joint in enumerate(file["joint_names"]):
        preds = [{"keypoints": places[j : j + 1]} for places in file["pred_hourglass_ours"]]
        target = [
            {"keypoints": places[j : j + 1], "weight": known[j : j + 1], "normaliser": head}
            for places, known, head in zip(file["keypoints"], annotated, file["head_size"], strict=True)
        ]
        found[str(joint)] = round(100 * pck(preds, target, threshold=0.5, normaliser="given"), 1)
    assert {joint: found[joint] for joint in PUBLISHED} == PUBLISHED


def test_sets_without_annotated_keypoints_have_none() -> None:
    assert math.isnan(pck([], []))
    preds, target = people(0, 1)
    assert math.isnan(pck(preds, [{**target[0], "weight": np.zeros(4)}]))


def test_another_normaliser_is_refused() -> None:
    with pytest.raises(OptionError, match="normaliser='head': expected 'size' or 'given'"):
        pck(*people(0), normaliser="head")


def test_its_declaration() -> None:
    found = find("pck")
    assert (found.task, found.level, found.view, found.set_size) == ("heatmap", "set", "keypoints", 16)
    assert found.higher_is_better
    assert (found.spec, found.source) == ("pck", "numpy")
