"""Reading comprehension: spans that answer questions."""

from __future__ import annotations

from benchmarks.models.reader import EXPERIMENTS
from benchmarks.training._comparison import Comparison, of_metrics

METRICS = ("squad_f1", "squad_em")


def _comparison() -> Comparison:
    rows, measure = of_metrics(EXPERIMENTS["reader"], METRICS)
    return Comparison(EXPERIMENTS["reader"], rows, measure)


COMPARISONS = {"reading": _comparison()}
