from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from detection_points import generated, seen
from hypothesis import given
from hypothesis import strategies as st

from autosurrogate import tasks
from autosurrogate.examples import Examples
from autosurrogate.metrics.mean_iou import mean_iou
from autosurrogate.registry.lookup import find

Box = tuple[int, int, int, int]
BOXES = st.tuples(st.integers(0, 8), st.integers(0, 8), st.integers(1, 8), st.integers(1, 8)).map(
    lambda box: (box[0], box[1], box[0] + box[2], box[1] + box[3])
)
TRUE = st.lists(st.tuples(BOXES, st.integers(0, 2)), min_size=1, max_size=5)
FOUND = st.lists(st.tuples(BOXES, st.integers(0, 2), st.sampled_from([0.1, 0.5, 0.9])), max_size=6)


def pixels(box: Box) -> set[tuple[int, int]]:
    return {(x, y) for x in range(box[0], box[2]) for y in range(box[1], box[3])}


def by_counting_pixels(found: list[tuple[Box, int, float]], true: list[tuple[Box, int]], min_score: float) -> float:
    best = []
    for box, label in true:
        own = [pixels(f) for f, k, score in found if k == label and score >= min_score]
        best.append(max((len(f & pixels(box)) / len(f | pixels(box)) for f in own), default=0.0))
    return sum(best) / len(best)


def items(
    found: list[tuple[Box, int, float]], true: list[tuple[Box, int]]
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    preds = {
        "boxes": np.array([f[0] for f in found], dtype=float).reshape(-1, 4),
        "labels": np.array([f[1] for f in found], dtype=int),
        "scores": np.array([f[2] for f in found], dtype=float),
    }
    boxes = np.array([t[0] for t in true], dtype=float).reshape(-1, 4)
    return preds, {"boxes": boxes, "labels": np.array([t[1] for t in true], dtype=int)}


@given(FOUND, TRUE, st.sampled_from([0.0, 0.5, 0.7]))
def test_it_is_what_counting_pixels_gives(
    found: list[tuple[Box, int, float]], true: list[tuple[Box, int]], min_score: float
) -> None:
    expected = by_counting_pixels(found, true, min_score)
    assert mean_iou(*items(found, true), min_score=min_score) == pytest.approx(expected, abs=1e-12)


def test_detections_below_a_half_do_not_count_by_default() -> None:
    true = [((0, 0, 4, 4), 1)]
    assert mean_iou(*items([((0, 0, 4, 4), 1, 0.5)], true)) == 1
    assert mean_iou(*items([((0, 0, 4, 4), 1, 0.49)], true)) == 0


def test_corners_the_wrong_way_round_overlap_with_nothing() -> None:
    assert mean_iou(*items([((4, 4, 0, 0), 1, 0.9)], [((0, 0, 4, 4), 1)])) == 0


def test_an_image_without_a_true_box_has_none() -> None:
    assert math.isnan(mean_iou(*items([((0, 0, 4, 4), 1, 0.9)], [])))
    assert mean_iou(*items([], [((0, 0, 4, 4), 1)])) == 0


def values(made: list[Examples]) -> list[float]:
    return [mean_iou(*point) for batch in made for point in tasks.get("detection").points(batch, "boxes", None)]


@pytest.mark.slow
def test_generated_points_fall_with_the_severity_from_the_best_to_the_worst() -> None:
    found = [float(np.median(values(generated(1, severity)))) for severity in (0.0, 0.3, 1.0)]
    assert found == sorted(found, reverse=True)
    assert found[0] > 0.95
    assert found[-1] < 0.05


def test_the_network_s_sharpest_iou_is_it() -> None:
    made = generated(1)
    found = torch.cat([seen("IoU from score 0.5", batch, 1) for batch in made])
    apart = (found - torch.tensor(values(made))).abs()
    assert apart.max() < 0.2  # where two classes are nearly as likely, or a score is nearly a half
    assert (apart < 1e-4).float().mean() > 0.9


def test_its_declaration() -> None:
    found = find("mean_iou")
    assert (found.task, found.level, found.view, found.set_size) == ("detection", "sample", "boxes", 1)
    assert found.higher_is_better
    assert (found.spec, found.source) == ("mean_iou", "pycocotools")
