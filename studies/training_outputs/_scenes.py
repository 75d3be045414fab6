"""Scenes: digits of several sizes on a dark, noisy ground, with their boxes and the pixels that they cover."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
import torch.nn.functional as F

from studies.models._experiment import Data
from studies.training_outputs import _tables

SIDE = 32  # pixels of a scene
N_CLASSES = 5  # two digits a class: 0 and 1, 2 and 3, ...
MAX_DIGITS = 4
SIZES = (8, 14)  # pixels, the smallest and the largest digit
INK = 0.4  # of a pixel that a digit covers
N_SCENES = {"train": 1000, "test": 256}
N_TRIES = 20  # places that are tried for a digit, which is then left out


@cache
def scenes(*, distinct: bool) -> dict[str, Data]:
    """Scenes of each split, from digits of that split.

    Args:
        distinct: whether a scene has a class once at most.

    Returns:
        `image` float32 (n, 1, SIDE, SIDE); `boxes` float32 (n, MAX_DIGITS, 5), xyxy and class, -1 pads; `classes` int64
        (n, SIDE, SIDE), 0 for the ground and 1 + class for a digit.
    """
    return {
        split: _drawn(*digits, N_SCENES[split], distinct, np.random.default_rng(k))
        for k, (split, digits) in enumerate(zip(N_SCENES, _tables.digit_halves(), strict=True))
    }


def _drawn(x: np.ndarray, y: np.ndarray, n_scenes: int, distinct: bool, random: np.random.Generator) -> Data:
    images = 0.15 * random.standard_normal((n_scenes, SIDE, SIDE)).astype(np.float32)
    boxes = np.full((n_scenes, MAX_DIGITS, 5), -1, np.float32)
    classes = np.zeros((n_scenes, SIDE, SIDE), np.int64)
    kinds = y // 2
    for i in range(n_scenes):
        if distinct:
            chosen = random.choice(N_CLASSES, random.integers(1, MAX_DIGITS, endpoint=True), replace=False)
            rows = [random.choice(np.flatnonzero(kinds == kind)) for kind in chosen]
        else:
            rows = list(random.choice(len(y), random.integers(1, MAX_DIGITS, endpoint=True)))
        for k, row in enumerate(rows):
            size = int(random.integers(*SIZES, endpoint=True))
            place = _free_place(classes[i], size, random)
            if place is None:
                continue
            top, left = place
            digit = _resized(x[row], size)
            ink = digit > INK
            images[i, top : top + size, left : left + size] += digit
            classes[i, top : top + size, left : left + size][ink] = 1 + kinds[row]
            ys, xs = np.nonzero(ink)
            boxes[i, k] = left + xs.min(), top + ys.min(), left + xs.max() + 1, top + ys.max() + 1, kinds[row]
    return {
        "image": torch.from_numpy(images[:, None]),
        "boxes": torch.from_numpy(boxes),
        "classes": torch.from_numpy(classes),
    }


def _free_place(classes: np.ndarray, size: int, random: np.random.Generator) -> tuple[int, int] | None:
    """Top and left of a place where no digit is yet."""
    for _ in range(N_TRIES):
        top, left = random.integers(0, SIDE - size, 2, endpoint=True)
        if not classes[top : top + size, left : left + size].any():
            return int(top), int(left)
    return None


def _resized(digit: np.ndarray, size: int) -> np.ndarray:
    pixels = torch.tensor(digit.reshape(1, 1, 8, 8), dtype=torch.float32)
    resized: np.ndarray = F.interpolate(pixels, (size, size), mode="bilinear", align_corners=False)[0, 0].numpy()
    return resized
