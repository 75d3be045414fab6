from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import coco_files
import numpy as np
import pytest
import scipy.stats
import torch
from detection_points import generated, seen

from autosurrogate import tasks
from autosurrogate.examples import Examples
from autosurrogate.metrics.coco_ap import coco_ap
from autosurrogate.registry.lookup import find
from autosurrogate.surrogates.detection import Matching

SQUARE = [0.0, 0.0, 10.0, 10.0]


def image(boxes: list[list[float]], labels: list[int], scores: list[float] | None = None) -> dict[str, np.ndarray]:
    item = {"boxes": np.array(boxes).reshape(-1, 4), "labels": np.array(labels, dtype=int)}
    return item if scores is None else {**item, "scores": np.array(scores)}


@pytest.mark.parametrize("read", [coco_files.coco_val2014, coco_files.voc])
def test_it_is_pycocotools_on_real_detections(
    data: Path, tmp_path: Path, read: Callable[[Path], coco_files.Detections]
) -> None:
    detections = read(data)
    expected = detections.by_pycocotools(tmp_path)[0]
    assert 0.1 < expected < 0.9
    assert coco_ap(*detections.items()) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("height", "thresholds_reached"), [(10, 10), (9.2, 9), (7.6, 6), (5.2, 1), (4.9, 0)])
def test_it_is_the_mean_over_ten_thresholds(height: float, thresholds_reached: int) -> None:
    preds = [image([[0, 0, 10, height]], [3], [0.2])]
    assert coco_ap(preds, [image([SQUARE], [3])]) == pytest.approx(thresholds_reached / 10)


def test_it_is_the_mean_over_the_classes_that_have_true_boxes() -> None:
    target = [image([SQUARE, [20, 20, 40, 40]], [0, 1])]
    one = [image([SQUARE, SQUARE], [0, 7], [0.5, 0.9])]  # class 7 has no true box
    assert coco_ap(one, target) == pytest.approx(0.5)


def test_a_set_without_a_true_box_has_none() -> None:
    assert math.isnan(coco_ap([], []))
    assert math.isnan(coco_ap([image([SQUARE], [0], [0.5])], [image([], [])]))
    assert coco_ap([image([], [], [])], [image([SQUARE], [0])]) == 0


def test_it_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    coco_ap([image([SQUARE], [0], [0.5])], [image([SQUARE], [0])])
    assert capfd.readouterr() == ("", "")


def values(made: list[Examples]) -> list[float]:
    return [coco_ap(*point) for batch in made for point in tasks.get("detection").points(batch, "boxes", 16)]


@pytest.mark.slow
def test_generated_points_fall_with_the_severity_from_the_best_to_the_worst() -> None:
    found = [float(np.median(values(generated(16, severity)))) for severity in (0.0, 0.3, 1.0)]
    assert found == sorted(found, reverse=True)
    assert found[0] > 0.95
    assert found[-1] < 0.05


def test_the_network_s_sharpest_precisions_rank_as_it_does() -> None:
    made = generated(16)
    found = [torch.stack([seen(f"precision {t:g}", batch, 16) for t in Matching.THRESHOLDS]).sum(0) for batch in made]
    assert scipy.stats.spearmanr(torch.cat(found), values(made)).statistic > 0.99


def test_its_declaration() -> None:
    found = find("coco_ap")
    assert (found.task, found.level, found.view, found.set_size) == ("detection", "set", "boxes", 16)
    assert found.higher_is_better
    assert (found.spec, found.source) == ("coco_ap", "pycocotools")
