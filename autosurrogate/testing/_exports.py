"""Losses around a network, each built and scripted once for all checks."""

from __future__ import annotations

import functools
import tempfile
import warnings
from pathlib import Path
from typing import Any

import torch

from autosurrogate import surrogates
from autosurrogate.export import writer
from autosurrogate.surrogates import Loss, loss_arguments
from autosurrogate.tasks import Task
from autosurrogate.testing import losses
from autosurrogate.testing._check import Check
from autosurrogate.testing.generated import Batches, settings, smallest_settings


class BuiltLosses:
    """The losses of a network, of random parameters.

    Args:
        task: the task.
        network: name of the network.
        seed: of the parameters and of the examples.
    """

    def __init__(self, task: Task, network: str, seed: int) -> None:
        self.task, self.network, self.seed = task, network, seed
        self._batches = Batches(task, seed).as_model_outputs

    def checks(self) -> list[Check]:
        """The checks of the exported losses."""
        return [Check(f"{self.network}: is the same when exported", self.is_exported)]

    @functools.cache  # noqa: B019, it lives as long as its checks
    def loss(self, level: str) -> Loss:
        """The loss of a level."""
        return self._build(level, settings(self.task.name, self.network))

    def _build(self, level: str, network_settings: dict[str, Any]) -> Loss:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(self.seed)
            loss = surrogates.build(self.task, level, self.network, **network_settings)
        self.task.configure(loss, next(self._batches("")))
        return loss

    @functools.cache  # noqa: B019, it lives as long as its checks
    def scripted(self, level: str) -> Any:
        """The scripted loss."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # TorchScript is deprecated
            return torch.jit.script(self.loss(level))

    def is_exported(self) -> None:
        """The exported files give the loss's numbers, train nothing, and do not change in training mode."""
        for level in self.task.views[next(iter(self.task.views))]:
            loss = self._build(level, smallest_settings(self.task.name, self.network))
            batches = list(self._batches("", 1, 5))
            with tempfile.TemporaryDirectory() as folder:
                arguments = [loss_arguments(self.task, examples) for examples in batches]
                writer.write(loss, None, arguments, Path(folder) / "loss.pt")
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # TorchScript is deprecated
                    exported = torch.jit.load(str(Path(folder) / "loss.pt"))  # type: ignore[no-untyped-call]
            losses.check_export_ready(exported, self.task, batches[0])
