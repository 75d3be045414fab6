"""What every task and each of its networks must hold."""

from __future__ import annotations

from autosurrogate import surrogates, tasks
from autosurrogate.testing._built_losses import BuiltLosses
from autosurrogate.testing._check import Check, run_all
from autosurrogate.testing._export_checks import ExportCase
from autosurrogate.testing._network_checks import NetworkCase
from autosurrogate.testing._task_checks import TaskCase


def check_task(name: str, *, seed: int = 0) -> None:
    """Run every check on a task and its networks.

    Args:
        name: of the task.
        seed: of the generated examples.

    Raises:
        MetricError: there is no such task.
        ConformanceError: something does not hold; the message names all that does not.
    """
    run_all(f"task {name!r}", task_checks(name, seed=seed))


def task_checks(name: str, *, seed: int = 0) -> list[Check]:
    """The checks of a task, to be run one by one; arguments as of `check_task`."""
    task = tasks.get(name)
    checks = TaskCase(task, seed).checks()
    levels = dict.fromkeys(level for levels in task.views.values() for level in levels)
    for network in surrogates.networks(task):
        built = BuiltLosses(task, network, seed)
        for view in task.views:
            checks += NetworkCase(built, view).checks()
        checks += [check for level in levels for check in ExportCase(name, network, level, seed).checks()]
    return checks
