"""Exported losses of a task's networks. Each is exported once in a process, for all tests that look at its files."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from autosurrogate import surrogates, tasks
from autosurrogate.examples import Examples
from autosurrogate.export import writer
from autosurrogate.surrogates import Loss, loss_arguments
from autosurrogate.tasks import Task
from autosurrogate.testing._built_losses import build
from autosurrogate.testing._check import ensure
from autosurrogate.testing.generated import Batches, smallest_settings
from autosurrogate.testing.losses import Tolerance

TOLERANCE = Tolerance(1e-5, 1e-5)
SCALE = 1.7  # of the calibration, which must be in the files


class ExportedLoss:
    """A loss of random parameters, what is loaded from its files as `scripted` and `program`, and the files' `path`.

    The files are in a temporary folder that lives as long as this object.

    Args:
        task: the task.
        network: name of the network.
        level: "sample" or "set".
        seed: of the parameters and of the examples.
    """

    def __init__(self, task: Task, network: str, level: str, seed: int) -> None:
        self.task, self.level, self._seed = task, level, seed
        self._folder = tempfile.TemporaryDirectory(prefix="exported-loss-")
        self.loss: Loss = build(task, network, level, smallest_settings(task.name, network), seed)
        self.loss.calibration.stretch(SCALE)
        self.path = Path(self._folder.name) / "loss.pt"
        arguments = [loss_arguments(task, examples) for examples in self.batches(5)]
        self.scripted: Any
        self.program: Any
        _, self.scripted, self.program = writer.write(self.loss, None, arguments, self.path)

    def batches(self, n_examples: int, n_batches: int = 4) -> Iterator[Examples]:
        """Generated examples of random sizes."""
        view = next(view for view, levels in self.task.views.items() if self.level in levels)
        return Batches(self.task, self._seed).as_model_outputs(view, 1, n_examples, n_batches=n_batches)

    def check(
        self, preds: Tensor, *others: Tensor | None, program: bool = True, tolerance: Tolerance = TOLERANCE
    ) -> None:
        """The files give the value and the gradient of the loss for these arguments.

        Args:
            preds: the predictions, in which the gradient is taken.
            others: the other arguments of the loss.
            program: whether to check the `torch.export` program, too.
            tolerance: of the values and the gradients.

        Raises:
            ConformanceError: one does not; the message names the file.
        """
        expected = value_and_gradient(self.loss, preds, *others)
        files = {"TorchScript file": self.scripted} | ({"torch.export program": self.program} if program else {})
        for name, module in files.items():
            actual = value_and_gradient(module, preds, *others)
            for what, a, b in zip(("value", "gradient"), actual, expected, strict=True):
                try:
                    torch.testing.assert_close(a, b, atol=tolerance.absolute, rtol=tolerance.relative)
                except AssertionError as error:
                    ensure(False, f"{name}: the {what} for preds of shape {tuple(preds.shape)}: {error}")


def exported(task: str, network: str, level: str, *, seed: int = 0) -> ExportedLoss:
    """The exported loss of a network and level; each is exported once in a process.

    Args:
        task: name of the task.
        network: name of the network.
        level: "sample" or "set".
        seed: of the parameters and of the examples.

    Raises:
        LossFileError: a file does not return the values of the loss.
    """
    instance = tasks.get(task)
    network_type = surrogates.networks(instance)[network]
    return _exported(instance, network, network_type, level, seed)  # type: ignore[arg-type]  # classes are hashable


@functools.cache
def _exported(task: Task, network: str, network_type: Hashable, level: str, seed: int) -> ExportedLoss:
    """Keyed by the network's class, too: a task whose file is edited may have another of the same name."""
    return ExportedLoss(task, network, level, seed)


def value_and_gradient(loss: Any, preds: Tensor, *others: Tensor | None) -> tuple[Tensor, Tensor]:
    """The value of a loss and its gradient in `preds`, of that shape."""
    preds = preds.detach().requires_grad_()  # of the same strides
    value = loss(preds, *others)
    (gradient,) = torch.autograd.grad(value, preds)
    return value.detach(), gradient
