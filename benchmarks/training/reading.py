"""Reading comprehension: spans that answer questions."""

from __future__ import annotations

from benchmarks.models.reader import EXPERIMENTS
from benchmarks.training._comparison import by_metrics

METRICS = ("squad_f1", "squad_em")


COMPARISONS = {"reading": by_metrics(EXPERIMENTS["reader"], METRICS)}
