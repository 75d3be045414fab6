"""Measures of trec_eval by pytrec_eval."""

from __future__ import annotations

import numpy as np
import pytrec_eval

from autosurrogate import metric


def measured(preds: np.ndarray, target: np.ndarray, measure: str, relevance_level: int = 1) -> float:
    """A measure of one list."""
    judged = {"q": {str(i): int(grade) for i, grade in enumerate(target)}}
    ranked = {"q": {str(i): float(score) for i, score in enumerate(preds)}}
    evaluator = pytrec_eval.RelevanceEvaluator(judged, {measure}, relevance_level=relevance_level)
    return float(next(iter(evaluator.evaluate(ranked)["q"].values())))


@metric(task="ranking", level="sample")
def bpref(preds: np.ndarray, target: np.ndarray) -> float:
    """Binary preference: how many judged irrelevant items stand before relevant ones."""
    return measured(preds, target, "bpref")


@metric(task="ranking", level="sample")
def precision_at_half_recall(preds: np.ndarray, target: np.ndarray) -> float:
    """Interpolated precision at a recall of 0.5."""
    return measured(preds, target, "iprec_at_recall.0.5")


@metric(task="ranking", level="sample")
def average_precision_of_high_grades(preds: np.ndarray, target: np.ndarray) -> float:
    """Average precision where only the best grade of the list counts as relevant."""
    return measured(preds, target, "map", relevance_level=max(1, int(target.max())))


@metric(task="ranking", level="set", set_size=32)
def geometric_mean_average_precision(preds: list[np.ndarray], target: list[np.ndarray]) -> float:
    """The geometric mean over lists of average precision, which bad lists decide."""
    each = [measured(p, t, "map") for p, t in zip(preds, target, strict=True)]
    return float(np.exp(np.mean(np.log(np.maximum(each, 1e-5)))))
