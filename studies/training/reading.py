"""Reading comprehension, fine-tuned from one reader: spans that answer questions."""

from __future__ import annotations

from dataclasses import replace

from studies.models.reader import EXPERIMENTS
from studies.training._comparison import by_metrics

METRICS = ("squad_f1", "squad_em")


READER = EXPERIMENTS["reader"]
COMPARISONS = {"reading": by_metrics(replace(READER, n_steps=250, learning_rate=1e-3), METRICS, pretraining=READER)}
