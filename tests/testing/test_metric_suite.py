"""The suite finds what is wrong with a metric."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autosurrogate.errors import MetricError
from autosurrogate.registry.metric_type import Metric
from autosurrogate.testing import ConformanceError, check_metric, metric_checks


def accuracy(preds: np.ndarray, target: np.ndarray) -> float:
    return float((preds == target).mean()) if len(target) else float("nan")


def of(function: Callable[[Any, Any], Any], higher_is_better: bool = True) -> Metric:
    return Metric("one", function, "classification", "set", "labels", higher_is_better, 16, "tests", None)


def test_a_good_metric_passes() -> None:
    check_metric(of(accuracy), bounds=(0, 1))


def _in_order(preds: np.ndarray, target: np.ndarray) -> float:
    return float(((preds == target) * np.arange(len(target))).sum())


def _spoiling(preds: np.ndarray, target: np.ndarray) -> float:
    value = accuracy(preds, target)
    preds[:] = target
    return value


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        (of(accuracy, higher_is_better=False), "is better for better predictions: lower is declared to be better"),
        (of(lambda p, t: 101 * accuracy(p, t)), r"returns a number within its bounds: 101.* is not within 0 and 1"),
        (of(lambda p, t: float("nan") if accuracy(p, t) > 0.5 else 0.1), r"% of the values at severity 0 are NaN"),
        (of(lambda p, t: float("inf")), "it returned inf"),
        (of(_in_order), "does not depend on the order of a set: it returned"),
        (
            of(lambda p, t: accuracy(p, t) + random.random()),
            "it is deterministic and leaves its arguments unchanged: it returned .*, then",
        ),
        (of(_spoiling), "it changed what it was given"),
        (of(lambda p, t: accuracy(p, t) ** 200), "takes values over its whole range: generated points cover"),
        (of(lambda p, t: accuracy(p, t) + 0 * p[0]), "takes sets of one example and of none: IndexError"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*:RuntimeWarning")
@pytest.mark.slow
def test_what_is_wrong_is_told(metric: Metric, message: str) -> None:
    with pytest.raises(ConformanceError, match=message):
        check_metric(metric, bounds=(0, 1))


def test_a_function_that_raises_is_told_by_its_own_words() -> None:
    def raising(preds: np.ndarray, target: np.ndarray) -> float:
        raise KeyError("no such class")

    with pytest.raises(ConformanceError, match="KeyError: 'no such class'"):
        check_metric(of(raising))


def test_a_metric_of_single_examples_is_not_asked_about_sets(tmp_path: Path) -> None:
    assert not {str(c) for c in metric_checks("bleu")} & {
        "does not depend on the order of a set",
        "takes sets of one example and of none",
    }


def test_an_unknown_metric_is_told() -> None:
    with pytest.raises(MetricError, match="unknown metric 'blue'"):
        check_metric("blue")
