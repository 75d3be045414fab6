"""Real detections as pycocotools reads them from files, and as a metric is given them."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

Items = list[dict[str, np.ndarray]]


@dataclass(frozen=True)
class Detections:
    """Annotations of a ground truth file, and results, in COCO's form."""

    ground_truth: dict[str, Any]
    results: list[dict[str, Any]]

    def by_pycocotools(self, folder: Path) -> list[float]:
        """The numbers that COCO's own program prints: AP, AP at 0.5, AP at 0.75, and so on."""
        truth, found = folder / "truth.json", folder / "found.json"
        truth.write_text(json.dumps(self.ground_truth))
        found.write_text(json.dumps(self.results))
        with contextlib.redirect_stdout(io.StringIO()):
            coco = COCO(str(truth))
            evaluation = COCOeval(coco, coco.loadRes(str(found)), "bbox")
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
        return [float(number) for number in evaluation.stats]

    def items(self) -> tuple[Items, Items]:
        """Preds and target, an image each, by their numbers: of equal scores those of the first image come first."""
        images = sorted(image["id"] for image in self.ground_truth["images"])
        found = [_item([r for r in self.results if r["image_id"] == i]) for i in images]
        true = [_item([a for a in self.ground_truth["annotations"] if a["image_id"] == i]) for i in images]
        return found, [{name: item[name] for name in ("boxes", "labels")} for item in true]


def coco_val2014(data: Path) -> Detections:
    """COCO's own hundred images and the results that it ships for them."""
    folder = data / "detection"
    truth = _read(folder / "coco_val2014_100_gt.json.gz")
    return Detections(truth, _read(folder / "coco_val2014_100_fakebbox_results.json.gz"))


def voc(data: Path) -> Detections:
    """A hundred images of PASCAL VOC with a detector's boxes."""
    images = _read(data / "detection" / "voc_100_gt_and_dets.json.gz")
    names = sorted({box["name"] for image in images for box in image["ground_truth"] + image["detections"]})
    true: list[dict[str, Any]] = []
    found: list[dict[str, Any]] = []
    for number, image in enumerate(images):
        for box in image["ground_truth"]:
            xywh = _xywh(box["box"])
            true.append(
                {"id": len(true) + 1, "image_id": number, "category_id": names.index(box["name"]), "iscrowd": 0,
                 "bbox": xywh, "area": xywh[2] * xywh[3]}
            )  # fmt: skip
        for box in image["detections"]:
            found.append(
                {"image_id": number, "category_id": names.index(box["name"]), "bbox": _xywh(box["box"]),
                 "score": box["score"]}
            )  # fmt: skip
    truth = {
        "images": [{"id": number} for number in range(len(images))],
        "categories": [{"id": number, "name": name} for number, name in enumerate(names)],
        "annotations": true,
    }
    return Detections(truth, found)


def _item(boxes: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    corners = np.array([box["bbox"] for box in boxes], dtype=float).reshape(-1, 4)
    corners[:, 2:] += corners[:, :2]
    return {
        "boxes": corners,
        "scores": np.array([box.get("score", 1.0) for box in boxes], dtype=float),
        "labels": np.array([box["category_id"] for box in boxes], dtype=np.int64),
    }


def _xywh(box: list[float]) -> list[float]:
    return [box[0], box[1], box[2] - box[0], box[3] - box[1]]


def _read(path: Path) -> Any:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return json.load(file)
