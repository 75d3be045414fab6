"""The checks of the files of a network's losses."""

from __future__ import annotations

import copy
import functools
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import autosurrogate
from autosurrogate.examples import Examples
from autosurrogate.export import writer
from autosurrogate.surrogates import loss_arguments
from autosurrogate.testing import losses
from autosurrogate.testing._check import Check, ensure
from autosurrogate.testing.exports import ExportedLoss, exported, value_and_gradient
from autosurrogate.testing.losses import EXACT, Tolerance

SIZES = (1, 2, 5, 9)  # examples of the pairs of batches on which files and loss are compared
CLOSE = Tolerance(1e-6, 1e-5)
N_TRAINED, N_STEPS = 16, 10  # examples and steps of training


class ExportCase:
    """The files of a loss of one level.

    Args:
        task: name of the task.
        network: name of the network.
        level: "sample" or "set".
        seed: of the parameters and of the examples.
    """

    def __init__(self, task: str, network: str, level: str, seed: int) -> None:
        self._network, self._level = network, level
        self._export = functools.partial(exported, task, network, level, seed=seed)

    def checks(self) -> list[Check]:
        """All checks of the files."""
        checks = {
            "gives the loss's values and gradients at all sizes": self.is_the_loss,
            "holds no parameter, and is the same in training mode": self.is_frozen,
            "gives the loss of each example at level 'sample' alone": self.has_per_sample,
            "takes None for what may be left out": self.takes_defaults,
            "is the same when copied and called again": self.is_the_same_again,
            "works in float32 on predictions of any dtype": self.takes_any_dtype,
            "is near to itself under autocast": self.takes_autocast,
            "may be part of a model of half precision": self.may_be_part_of_a_model,
            "is lowered by training": self.is_lowered,
            "does not tell where its code lay": self.tells_no_folders,
        }
        return [
            Check(f"{self._network}, exported at level {self._level!r}: {name}", run) for name, run in checks.items()
        ]

    @functools.cached_property
    def _exported(self) -> ExportedLoss:
        return self._export()

    def _arguments(self, n_examples: int = 5) -> tuple[Any, ...]:
        (examples,) = self._exported.batches(n_examples, n_batches=1)
        return self._of(examples)

    def _of(self, examples: Examples) -> tuple[Any, ...]:
        preds, *others = loss_arguments(self._exported.task, examples)
        assert preds is not None
        return (preds.float(), *others)

    def is_the_loss(self) -> None:
        for n_examples in SIZES:
            for examples in self._exported.batches(n_examples, n_batches=2):
                # the program of a set of one is no use
                self._exported.check(*self._of(examples), program=n_examples > 1 or self._level == "sample")

    def is_frozen(self) -> None:
        for module in (self._exported.scripted, self._exported.program):
            names = [name for name, _ in module.named_parameters()]
            ensure(not names, f"an optimiser would train {names}")
            ensure(not any(buffer.requires_grad for buffer in module.buffers()), "a buffer requires a gradient")
        ensure(list(self._exported.loss.parameters()), "the loss itself lost its parameters")
        for examples in self._exported.batches(5):
            losses.check_export_ready(self._exported.scripted, self._exported.task, examples)

    def has_per_sample(self) -> None:
        if self._level == "set":
            losses.check_level_set(self._exported.scripted)
            return
        for examples in self._exported.batches(5):
            losses.check_mean_of_examples(self._exported.scripted, self._exported.task, examples, distinct=False)
            expected, actual = (
                losses.losses(loss, self._exported.task, examples)
                for loss in (self._exported.loss, self._exported.scripted)
            )
            _close("per_sample", actual, expected)

    def takes_defaults(self) -> None:
        n_extras = len(self._exported.task.extras)
        for examples in self._exported.batches(5):
            preds, target, *_ = self._of(examples)
            for others in ((), (None,) * n_extras):
                actual = value_and_gradient(self._exported.scripted, preds, target, *others)
                _close(f"with {others}", actual, value_and_gradient(self._exported.loss, preds, target))

    def is_the_same_again(self) -> None:
        arguments = self._arguments()
        first = value_and_gradient(self._exported.scripted, *arguments)  # TorchScript may have compiled it by the next
        _close("called again", value_and_gradient(self._exported.scripted, *arguments), first, EXACT)
        _close("copied", value_and_gradient(copy.deepcopy(self._exported.scripted), *arguments), first)

    def takes_any_dtype(self) -> None:
        preds, *others = self._arguments()
        for dtype in (torch.float16, torch.bfloat16, torch.float64):
            low = preds.clamp(-1e4, 1e4).to(dtype)  # finite in float16
            value, gradient = value_and_gradient(self._exported.scripted, low, *others)
            expected, expected_gradient = value_and_gradient(self._exported.scripted, low.float(), *others)
            ensure(value.dtype == torch.float32, f"the loss of {dtype} is {value.dtype}")
            ensure(gradient.dtype == dtype, f"the gradient in {dtype} is {gradient.dtype}")
            _close(f"the loss of {dtype}", value, expected)
            rounded = Tolerance(1e-2 * float(expected_gradient.abs().max()), 1e-2)  # to the dtype, along the way
            _close(f"the gradient in {dtype}", gradient, expected_gradient.to(dtype), rounded)

    def takes_autocast(self) -> None:
        for examples in self._exported.batches(5, n_batches=2):
            arguments = self._of(examples)
            expected, expected_gradient = value_and_gradient(self._exported.loss, *arguments)
            with torch.autocast("cpu", torch.bfloat16):
                value, gradient = value_and_gradient(self._exported.scripted, *arguments)
                of_program = self._exported.program(*arguments).detach().float()
            ensure(value.dtype == torch.float32, f"the loss is {value.dtype}")
            _close("the TorchScript file", value, expected, Tolerance(1e-4, 1e-2))
            _close("the torch.export program", of_program, expected, Tolerance(2e-2, 1e-2))  # it adds up terms of 1
            difference, norm = float((gradient - expected_gradient).norm()), float(expected_gradient.norm())
            ensure(difference <= 1e-2 * norm, f"the gradient differs by {difference:.3g} of {norm:.3g}")

    def may_be_part_of_a_model(self) -> None:
        preds, *others = self._arguments()
        expected = self._exported.loss(preds, *others).detach()
        for dtype in (torch.float16, torch.bfloat16):
            model = _Model(copy.deepcopy(self._exported.scripted)).to(dtype)
            names = [name for name, _ in model.named_parameters()]
            ensure(names == ["bias"], f"the model has parameters {names}")
            value = model(preds.to(dtype), *others)
            value.backward()
            ensure(model.bias.grad is not None and model.bias.grad.isfinite(), f"{dtype}: the gradient is not finite")
            _close(f"in a model of {dtype}", value.detach().float(), expected, Tolerance(0.05, 0.05))

    def is_lowered(self) -> None:
        loss = self._exported.scripted
        preds, *others = self._arguments(N_TRAINED)
        unit = torch.as_tensor(self._exported.task.unit(next(self._exported.batches(N_TRAINED, n_batches=1))))
        moves = nn.Parameter(torch.zeros_like(preds))
        optimiser = torch.optim.Adam([moves, *loss.parameters()], lr=0.05)
        before = {name: value.clone() for name, value in loss.state_dict().items()}
        values = []
        for _ in range(N_STEPS):
            optimiser.zero_grad()
            value = loss(preds + moves * unit, *others)
            value.backward()
            optimiser.step()
            values.append(float(value.detach()))
        ensure(values[-1] < values[0], f"it is {values[0]:.6g} at first and {values[-1]:.6g} after {N_STEPS} steps")
        ensure(all(torch.equal(value, before[name]) for name, value in loss.state_dict().items()), "its state changed")

    def tells_no_folders(self) -> None:
        folders = [str(Path(package.__file__).parent) for package in (autosurrogate, torch) if package.__file__]
        for path in (self._exported.path, writer.program_path(self._exported.path)):
            for name, record in _records(path):
                for folder in folders:
                    ensure(folder.encode() not in record, f"{path.suffix}: {name} names {folder}")


class _Model(nn.Module):
    """A model that contains its loss."""

    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(()))
        self.loss = loss

    def forward(self, preds: Tensor, *others: Tensor | None) -> Any:
        """The loss of predictions that have a bias."""
        return self.loss(preds + self.bias, *others)


def _records(path: Path) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            yield name, archive.read(name)


def _close(what: str, actual: Any, expected: Any, tolerance: Tolerance = CLOSE) -> None:
    try:
        torch.testing.assert_close(actual, expected, atol=tolerance.absolute, rtol=tolerance.relative)
    except AssertionError as error:
        ensure(False, f"{what}: {error}")
