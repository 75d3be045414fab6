from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import coco_files
import numpy as np
import pytest
import scipy.stats
from detection_points import generated, seen

from autosurrogate import tasks
from autosurrogate.examples import Examples
from autosurrogate.metrics.coco_ap50 import coco_ap50
from autosurrogate.registry.lookup import find


def row(n: int) -> np.ndarray:
    """Boxes beside one another."""
    left = 20.0 * np.arange(n)
    return np.stack([left, 0 * left, left + 10, 0 * left + 10], 1)


def image(boxes: np.ndarray, scores: list[float] | None = None) -> dict[str, np.ndarray]:
    item = {"boxes": boxes, "labels": np.zeros(len(boxes), dtype=int)}
    return item if scores is None else {**item, "scores": np.array(scores)}


@pytest.mark.parametrize("read", [coco_files.coco_val2014, coco_files.voc])
def test_it_is_pycocotools_on_real_detections(
    data: Path, tmp_path: Path, read: Callable[[Path], coco_files.Detections]
) -> None:
    detections = read(data)
    _, at_50, at_75, *_ = detections.by_pycocotools(tmp_path)
    assert at_50 > at_75 > 0.1
    preds, target = detections.items()
    assert coco_ap50(preds, target) == pytest.approx(at_50, abs=1e-9)
    assert coco_ap50(preds, target, threshold=0.75) == pytest.approx(at_75, abs=1e-9)


def test_a_false_detection_costs_the_precision_of_all_that_are_scored_lower() -> None:
    true = row(2)
    away = true[:1] + 100
    target = [image(true)]
    preds = [image(np.concatenate([true[:1], away, true[1:]]), [0.9, 0.8, 0.7])]
    assert coco_ap50(preds, target) == pytest.approx((51 + 50 * 2 / 3) / 101)  # of 101 levels of recall 51 up to 1/2
    preds[0]["scores"] = np.array([0.9, 0.6, 0.7])
    assert coco_ap50(preds, target) == 1


def test_a_true_box_is_found_once() -> None:
    true = row(2)
    preds = [image(np.concatenate([true[:1], true[:1], true[1:]]), [0.9, 0.8, 0.7])]
    assert coco_ap50(preds, [image(true)]) == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_scores_are_in_order_over_all_images() -> None:
    true = row(1)
    target = [image(true), image(true)]
    good_last = [image(true + 50, [0.9]), image(true, [0.1])]
    good_first = [image(true + 50, [0.1]), image(true, [0.9])]
    assert coco_ap50(good_first, target) == pytest.approx(51 / 101)
    assert coco_ap50(good_last, target) == pytest.approx(51 / 101 / 2)


def test_the_hundred_best_of_an_image_count() -> None:
    away = row(100) + 1e4
    preds = [image(np.concatenate([away, row(1)]), [0.9] * 100 + [0.1])]
    assert coco_ap50(preds, [image(row(1))]) == 0
    preds[0]["scores"][0] = 0.05
    assert coco_ap50(preds, [image(row(1))]) == pytest.approx(0.01)


def test_a_set_without_a_true_box_has_none() -> None:
    assert math.isnan(coco_ap50([], []))
    assert math.isnan(coco_ap50([image(row(1), [0.5])], [image(row(0))]))
    assert coco_ap50([image(row(0), [])], [image(row(1))]) == 0


def values(made: list[Examples]) -> list[float]:
    return [coco_ap50(*point) for batch in made for point in tasks.get("detection").points(batch, "boxes", 16)]


@pytest.mark.slow
def test_generated_points_fall_with_the_severity_from_the_best_to_the_worst() -> None:
    found = [float(np.median(values(generated(16, severity)))) for severity in (0.0, 0.3, 1.0)]
    assert found == sorted(found, reverse=True)
    assert found[0] > 0.95
    assert found[-1] < 0.05


@pytest.mark.parametrize("threshold", [0.5, 0.75])
def test_the_network_s_sharpest_precision_is_it(threshold: float) -> None:
    found, expected, at_threshold = [], [], find(f"coco_ap50?threshold={threshold}")
    for made in generated(16):
        found += seen(f"precision {threshold:g}", made, 16).tolist()
        expected += [at_threshold.function(*point) for point in tasks.get("detection").points(made, "boxes", 16)]
    assert scipy.stats.spearmanr(found, expected).statistic > 0.99
    assert max(abs(f - v) for f, v in zip(found, expected, strict=True)) < 0.1


def test_its_declaration() -> None:
    found = find("coco_ap50")
    assert (found.task, found.level, found.view, found.set_size) == ("detection", "set", "boxes", 16)
    assert found.higher_is_better
    assert (found.spec, found.source) == ("coco_ap50", "pycocotools")
