"""Partly right entities by nervaluate."""

from __future__ import annotations

import numpy as np
from nervaluate import Evaluator

from autosurrogate import metric


def entities(spans: np.ndarray) -> list[list[dict[str, int | str]]]:
    """One entity for each example."""
    return [[{"label": "answer", "start": int(first), "end": int(last)}] for first, last in spans]


@metric(task="span", view="positions", set_size=64)
def partial_match_f1(preds: np.ndarray, target: np.ndarray) -> float:
    """F1 of spans, where an overlap counts half."""
    results = Evaluator(entities(target), entities(preds), tags=["answer"], loader="dict").evaluate()
    return float(results["overall"]["partial"].f1)


@metric(task="span", view="positions", set_size=64)
def overlap_recall(preds: np.ndarray, target: np.ndarray) -> float:
    """The fraction of spans that are overlapped by half of their length or more."""
    evaluator = Evaluator(
        entities(target), entities(preds), tags=["answer"], loader="dict", min_overlap_percentage=50.0
    )
    return float(evaluator.evaluate()["overall"]["ent_type"].recall)
