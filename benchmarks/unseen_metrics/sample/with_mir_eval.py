"""Metrics of annotated time by mir_eval: a sequence is a label for each second, a run of equal ones is a segment."""

from __future__ import annotations

import itertools

import mir_eval
import numpy as np

from autosurrogate import metric


def segments(tokens: list[int], n: int) -> np.ndarray:
    """Start and end of each segment in [0, n]."""
    tokens = tokens[:n] + [-1] * (n - len(tokens))
    bounds = np.cumsum([0, *(len(list(run)) for _, run in itertools.groupby(tokens))]).astype(float)
    return np.stack([bounds[:-1], bounds[1:]], 1)


@metric(task="sequence", level="sample", view="tokens")
def segment_boundaries_f1(preds: list[int], target: list[int]) -> float:
    """F1 of boundaries of segments within half a second."""
    true, found = segments(target, len(target)), segments(preds, len(target))
    return float(mir_eval.segment.detection(true, found, window=0.5)[2])
