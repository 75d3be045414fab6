"""A whole training step of a translation model, with an exported BLEU loss and without."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autosurrogate.errors import OptionError
from autosurrogate.examples import Examples
from benchmarks.speed._fitted import loss_of
from benchmarks.speed._timing import Row, side_by_side
from studies.models._experiment import Added, Data, Experiment, train
from studies.models.translator import LONGEST, N_PIECES, PAD
from studies.training._comparison import added, exported
from studies.training._runs import cached
from studies.training._suite import comparisons

TITLE = "A training step of a translation model"
ABOUT = """
The non-autoregressive translator of `studies.training`, its own batches: the mean of ten steps from the start. In a
CUDA graph the loss is captured once, and each batch is padded to the longest of all: a captured loss has one shape.
"""
BASELINE = "cross-entropy"
WITH_LOSS = "cross-entropy and BLEU loss"
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
    path = loss_of("bleu")
    variants: dict[str, Added | None] = {"cross-entropy": None, WITH_LOSS: added(exported(path, model.task, device))}
    if device != "cpu":
        variants[f"{WITH_LOSS}, in a CUDA graph"] = _captured(path, model.batch_size, device)
    calls = {name: partial(_train, model, data, beside, device) for name, beside in variants.items()}
    for row in side_by_side("batches of the experiment", calls, device):
        yield replace(row, seconds=[seconds / N_STEPS for seconds in row.seconds], unit="step")


def _train(model: Experiment, data: Data, beside: Added | None, device: str) -> None:
    train(model, data, 0, loss=beside, device=device)


def _captured(path: Path, batch_size: int, device: str) -> Added:
    """The loss of batches of `batch_size`, see docs/how-to/use-a-loss.md, CUDA graphs."""
    loss = torch.jit.load(str(path), map_location=device)  # type: ignore[no-untyped-call]
    logits = torch.randn(batch_size, LONGEST, N_PIECES, device=device, requires_grad=True)
    target = torch.randint(N_PIECES, (batch_size, LONGEST), device=device)
    captured = torch.cuda.make_graphed_callables(  # type: ignore[no-untyped-call]
        lambda preds, target: loss(preds, target), (logits, target)
    )

    def of(model: nn.Module, batch: Data, examples: Examples) -> Tensor:
        n_absent = LONGEST - examples.target.shape[1]
        preds, target = F.pad(examples.preds, (0, 0, 0, n_absent)), F.pad(examples.target, (0, n_absent), value=PAD)
        value: Tensor = captured(preds, target)
        return value

    return of
