"""Building the networks of a task, and the losses around them."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import cast

from torch import Tensor, nn

from autosurrogate import tasks
from autosurrogate.errors import SpaceError
from autosurrogate.examples import Examples
from autosurrogate.surrogates import _losses
from autosurrogate.surrogates._contracts import Loss, Network
from autosurrogate.tasks import Task


def networks(task: Task) -> Mapping[str, type[nn.Module]]:
    """The networks of a task by name; each has the methods of `Network`."""
    if task.networks:
        return task.networks
    name = "SPELLED" if task.name.startswith(tasks.VOCABULARY_PREFIX) else "NETWORKS"
    return cast(Mapping[str, type[nn.Module]], getattr(_module(task), name))


def settings(task: Task, network: str) -> list[str]:
    """Names of the settings that a network's constructor takes.

    Raises:
        SpaceError: the task has no such network.
    """
    known = networks(task)
    if network not in known:
        raise SpaceError(f"unknown network {network!r} of task {task.name!r}; there are {', '.join(known)}")
    return list(inspect.signature(known[network]).parameters)


def feature_settings(task: Task, network: str) -> tuple[str, ...]:
    """Names of the settings that decide which features a network has.

    A list of them or a larger number gives more features, and the same ones among them.
    """
    return cast(tuple[str, ...], getattr(networks(task)[network], "FEATURE_SETTINGS", ()))


def build(task: Task, level: str, network: str, **settings: object) -> Loss:
    """A loss of the task around a new network, untrained.

    Args:
        task: the task.
        level: "sample" or "set".
        network: name of the network.
        settings: arguments of the network's constructor.
    """
    module = _module(task)
    loss_class: Callable[[Network], Loss] = module.SampleLoss if level == "sample" else module.SetLoss
    return loss_class(cast(Network, networks(task)[network](**settings)))


def loss_arguments(task: Task, examples: Examples) -> tuple[Tensor | None, ...]:
    """The tensors that a loss of the task is called with, in order; None for an extra array that is absent."""
    return (examples.preds, examples.target, *(examples.extras.get(name) for name in task.extras))


def _module(task: Task) -> ModuleType:
    """Where the losses of a task are, and the networks of a built-in one."""
    if task.networks:
        return _losses
    return importlib.import_module(f"autosurrogate.surrogates.{tasks.name_without_vocabulary(task.name)}")
