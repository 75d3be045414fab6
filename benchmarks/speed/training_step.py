"""A whole training step of a translation model, with an exported BLEU loss and without."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from autosurrogate.errors import OptionError
from benchmarks.models._experiment import Added, Data, Experiment, train
from benchmarks.speed._fitted import loss_of
from benchmarks.speed._timing import Row, side_by_side
from benchmarks.training._comparison import added, exported
from benchmarks.training._runs import cached
from benchmarks.training._suite import comparisons

TITLE = "A training step of a translation model"
ABOUT = """
The non-autoregressive translator of `benchmarks.training`, its own batches: the mean of ten steps from the start.
"""
AGAINST = "cross-entropy"
N_STEPS = 10


def measure(device: str) -> Iterator[Row]:
    """Rows of a step.

    Raises:
        OptionError: there is no folder of real data.
    """
    if not os.environ.get("AUTOSURROGATE_DATA"):
        raise OptionError("training_step: needs the real data; set AUTOSURROGATE_DATA to their folder")
    model = comparisons()["translation_de_en"].model
    data = cached(model, Path(os.environ["AUTOSURROGATE_DATA"]))["train"]
    model = replace(model, n_steps=N_STEPS, checkpoints=())
    loss = added(exported(loss_of("bleu"), model.task, device))
    variants = {"cross-entropy": None, "cross-entropy and BLEU loss": loss}
    calls = {name: partial(_train, model, data, beside, device) for name, beside in variants.items()}
    for row in side_by_side("batches of the experiment", calls, device):
        yield replace(row, seconds=[seconds / N_STEPS for seconds in row.seconds], unit="step")


def _train(model: Experiment, data: Data, beside: Added | None, device: str) -> None:
    train(model, data, 0, loss=beside, device=device)
