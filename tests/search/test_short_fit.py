from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from autosurrogate import tasks
from autosurrogate.labelling.outcomes import Point
from autosurrogate.registry.metric_type import Metric
from autosurrogate.search import search_space, short_fit

TASK = tasks.get("classification")
ORDER, CLASSES = "the order of the examples", "which class is which"


def first_half(preds: np.ndarray, target: np.ndarray) -> float:
    n = len(target) // 2
    return float((preds[:n] == target[:n]).mean())


def recall_of_0(preds: np.ndarray, target: np.ndarray) -> float:
    return float((preds == target)[target == 0].mean()) if (target == 0).any() else float("nan")


def never(preds: np.ndarray, target: np.ndarray) -> float:
    return float("nan")


def fitted_spearman(function: object, what: str) -> float:
    metric = Metric("metric", function, "classification", "set", "labels", True, 64, "test", None)  # type: ignore[arg-type]
    networks = search_space.load(TASK).widest_networks(TASK)

    def label(points: Sequence[Point]) -> np.ndarray:
        return np.array([metric.function(*point) for point in points])

    return short_fit.fitted_spearman(TASK, metric, {"margin": networks["margin"]}, what, label)


@pytest.mark.slow
def test_a_metric_of_half_a_set_is_followed_and_one_of_a_single_class_is_not() -> None:
    # Both halves are of one model. The recall of one class says little of the others'.
    assert fitted_spearman(first_half, ORDER) > 0.9
    assert fitted_spearman(recall_of_0, CLASSES) < 0.8


def test_a_metric_without_values_cannot_be_fitted() -> None:
    assert fitted_spearman(never, ORDER) == 0
