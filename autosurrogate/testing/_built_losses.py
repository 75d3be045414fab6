"""Losses around a network, each built and scripted once for all checks."""

from __future__ import annotations

import functools
import warnings
from typing import Any

import torch

from autosurrogate import surrogates
from autosurrogate.surrogates import Loss
from autosurrogate.tasks import Task
from autosurrogate.testing.generated import Batches, settings


def build(task: Task, network: str, level: str, settings: dict[str, Any], seed: int) -> Loss:
    """A loss of random parameters that knows what examples of the task have in common.

    Args:
        task: the task.
        network: name of the network.
        level: "sample" or "set".
        settings: of the network.
        seed: of the parameters and of the examples.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        loss = surrogates.build(task, level, network, **settings)
    task.configure(loss, next(Batches(task, seed).as_model_outputs("")))
    return loss


class BuiltLosses:
    """The losses of a network, of random parameters.

    Args:
        task: the task.
        network: name of the network.
        seed: of the parameters and of the examples.
    """

    def __init__(self, task: Task, network: str, seed: int) -> None:
        self.task, self.network, self.seed = task, network, seed

    @functools.cache  # noqa: B019, it lives as long as its checks
    def loss(self, level: str) -> Loss:
        """The loss of a level."""
        return build(self.task, self.network, level, settings(self.task.name, self.network), self.seed)

    @functools.cache  # noqa: B019, it lives as long as its checks
    def scripted(self, level: str) -> Any:
        """The scripted loss."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # TorchScript is deprecated
            return torch.jit.script(self.loss(level))
