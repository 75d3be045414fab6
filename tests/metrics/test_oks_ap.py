from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from autosurrogate.metrics.oks_ap import oks_ap
from autosurrogate.registry.lookup import find

Item = dict[str, np.ndarray]


def people(seed: int, n: int = 16, n_keypoints: int = 17) -> tuple[list[Item], list[Item]]:
    """People of all sizes, some hardly annotated; errors grow from person to person, and scores hardly follow them."""
    drawn = np.random.default_rng(seed)
    preds, target = [], []
    for i in range(n):
        where = drawn.integers(0, 24, (n_keypoints, 2)).astype(float)
        off = np.round(drawn.normal(0, 0.15 * i, where.shape))
        preds.append({"keypoints": where + off, "scores": drawn.random(n_keypoints)})
        weight = (drawn.random(n_keypoints) < drawn.random()).astype(float)
        target.append({"keypoints": where, "weight": weight, "area": np.float64(drawn.uniform(30, 2000))})
    return preds, target


def as_pycocotools_says(preds: list[Item], target: list[Item], folder: Path, sigmas: Any = None) -> float:
    """AP by files of annotations and of results, written as COCO describes them."""
    images = [i for i, theirs in enumerate(target) if theirs["weight"].any()]

    def triples(places: np.ndarray, third: np.ndarray) -> list[float]:
        return [float(v) for (x, y), t in zip(places, third, strict=True) for v in (x, y, t)]

    annotations = [
        {
            "id": 1000 + i, "image_id": i, "category_id": 1, "iscrowd": 0, "bbox": [1, 2, 3, 4],
            "num_keypoints": int((target[i]["weight"] > 0).sum()), "area": float(target[i]["area"]),
            "keypoints": triples(target[i]["keypoints"], np.where(target[i]["weight"] > 0, 1, 0)),
        }
        for i in images
    ]  # fmt: skip
    results = [
        {"image_id": i, "category_id": 1, "score": float(np.mean(preds[i]["scores"])),
         "keypoints": triples(preds[i]["keypoints"], preds[i]["scores"])}
        for i in images
    ]  # fmt: skip
    truth = {"images": [{"id": i} for i in images], "annotations": annotations,
             "categories": [{"id": 1, "name": "person"}]}  # fmt: skip
    (folder / "truth.json").write_text(json.dumps(truth))
    (folder / "results.json").write_text(json.dumps(results))
    coco = COCO(folder / "truth.json")
    evaluation = COCOeval(coco, coco.loadRes(str(folder / "results.json")), "keypoints")
    if sigmas is not None:
        evaluation.params.kpt_oks_sigmas = np.array(sigmas)
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return float(evaluation.stats[0])


@pytest.mark.parametrize("seed", range(6))
def test_it_is_pycocotools_s_ap_of_files(seed: int, tmp_path: Path) -> None:
    preds, target = people(seed)
    expected = as_pycocotools_says(preds, target, tmp_path)
    assert 0.05 < expected < 0.95
    assert oks_ap(preds, target) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("n_keypoints", [1, 5, 16, 18])
def test_other_numbers_of_keypoints_share_the_mean_of_coco_s_deviations(n_keypoints: int, tmp_path: Path) -> None:
    preds, target = people(1, n_keypoints=n_keypoints)
    coco = [0.026, *[0.025] * 2, *[0.035] * 2, *[0.079] * 2, *[0.072] * 2, *[0.062] * 2, *[0.107] * 2, *[0.087] * 2,
            *[0.089] * 2]  # fmt: skip
    expected = as_pycocotools_says(preds, target, tmp_path, [sum(coco) / 17] * n_keypoints)
    assert oks_ap(preds, target) == pytest.approx(expected, abs=1e-12)


def one_keypoint(off: float, score: float) -> tuple[Item, Item]:
    target = {"keypoints": np.zeros((1, 2)), "weight": np.ones(1), "area": np.float64(100)}
    return {"keypoints": np.array([[off, 0.0]]), "scores": np.array([score])}, target


def test_a_wrong_person_that_is_more_certain_costs_precision() -> None:
    right, wrong = one_keypoint(0, 0.8), one_keypoint(50, 0.9)
    behind = one_keypoint(50, 0.7)
    # Found up to a recall of one half, which covers 51 of 101 points of it.
    assert oks_ap([right[0], behind[0]], [right[1], behind[1]]) == pytest.approx(51 / 101)
    assert oks_ap([right[0], wrong[0]], [right[1], wrong[1]]) == pytest.approx(51 / 101 / 2)


def test_it_is_the_mean_over_ten_similarities() -> None:
    sigma = (0.026 + 0.05 + 0.07 + 2 * (0.079 + 0.072 + 0.062 + 0.107 + 0.087 + 0.089)) / 17
    for similarity, n_reached in ((0.52, 1), (0.72, 5), (0.96, 10)):
        off = math.sqrt(-math.log(similarity) * 2 * 100 * (2 * sigma) ** 2)
        preds, target = one_keypoint(off, 0.5)
        assert oks_ap([preds], [target]) == pytest.approx(n_reached / 10)


def test_people_without_annotated_keypoints_do_not_count() -> None:
    preds, target = people(2)
    nobody = {**target[0], "weight": np.zeros(17)}
    sure = {**preds[0], "scores": np.full(17, 2.0)}
    assert oks_ap([*preds, sure], [*target, nobody]) == oks_ap(preds, target)
    assert math.isnan(oks_ap([sure], [nobody]))
    assert math.isnan(oks_ap([], []))


def test_it_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    oks_ap(*people(0))
    assert capfd.readouterr() == ("", "")


def test_its_declaration() -> None:
    found = find("oks_ap")
    assert (found.task, found.level, found.view, found.set_size) == ("heatmap", "set", "keypoints", 16)
    assert found.higher_is_better
    assert (found.spec, found.source) == ("oks_ap", "pycocotools")
