"""Building the networks of a task, and the losses around them."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from autosurrogate import tasks
from autosurrogate.errors import SpaceError
from autosurrogate.examples import Examples
from autosurrogate.surrogates import _losses
from autosurrogate.surrogates._falling import Falling
from autosurrogate.tasks import Task

__all__ = ["Falling", "arguments", "build", "feature_settings", "networks", "settings"]


def networks(task: str) -> Mapping[str, type[nn.Module]]:
    """The networks of a task by name."""
    built_in = "SPELLED" if task.startswith(tasks.SPELLED) else "NETWORKS"
    found: Mapping[str, type[nn.Module]] = tasks.get(task).networks or getattr(_module(task), built_in)
    return found


def settings(task: str, network: str) -> list[str]:
    """Names of the settings that a network's constructor takes.

    Raises:
        SpaceError: the task has no such network.
    """
    if network not in networks(task):
        raise SpaceError(f"unknown network {network!r} of task {task!r}; there are {', '.join(networks(task))}")
    return list(inspect.signature(networks(task)[network]).parameters)


def feature_settings(task: str, network: str) -> tuple[str, ...]:
    """Names of the settings that decide which features a network has.

    A list of them or a larger number gives more features, and the same ones among them.
    """
    names: tuple[str, ...] = getattr(networks(task)[network], "FEATURE_SETTINGS", ())
    return names


def build(task: str, level: str, network: str, **values: Any) -> nn.Module:
    """A loss of the task around a new network, untrained.

    Args:
        task: name of the task.
        level: "sample" or "set".
        network: name of the network.
        values: arguments of the network's constructor.
    """
    module = _module(task)
    wrapper = module.SampleLoss if level == "sample" else module.SetLoss
    loss: nn.Module = wrapper(networks(task)[network](**values))
    return loss


def _module(task: str) -> Any:
    """Where the losses of a task are, and the networks of a built-in one."""
    own = tasks.get(task).networks
    return _losses if own else importlib.import_module(f"autosurrogate.surrogates.{tasks.kind(task)}")


def arguments(task: Task, examples: Examples) -> tuple[Tensor | None, ...]:
    """The tensors a loss of the task is called with, in order; None for an extra that is not there."""
    return (examples.preds, examples.target, *(examples.extras.get(name) for name in task.extras))
