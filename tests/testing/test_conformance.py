"""Every built-in metric and every task hold what all must."""

from __future__ import annotations

from typing import Any

import pytest

from autosurrogate import tasks
from autosurrogate.registry.lookup import find
from autosurrogate.registry.store import builtins
from autosurrogate.testing import Check, metric_checks, task_checks


def parameter(of: str, check: Check) -> Any:
    """A check as a parameter of a test; those that take seconds are marked as slow."""
    slow = ", exported at level " in str(check) or str(check).endswith("takes values over its whole range")
    return pytest.param(check, id=f"{of}: {check}", marks=[pytest.mark.slow] if slow else [])


METRIC_CHECKS = [parameter(m.name, check) for m in builtins() for check in metric_checks(m)]
TASK_CHECKS = [parameter(name, check) for name in tasks.names() for check in task_checks(name)]


@pytest.mark.parametrize("check", METRIC_CHECKS)
def test_every_metric(check: Check) -> None:
    check()


@pytest.mark.parametrize("check", TASK_CHECKS)
def test_every_task(check: Check) -> None:
    check()


@pytest.mark.parametrize("name", [m.name for m in builtins()])
def test_a_metric_s_file_bears_its_name_and_says_what_computes_it(name: str) -> None:
    metric = find(name)
    assert metric.function.__module__ == f"autosurrogate.metrics.{name}"
    assert metric.source != metric.function.__module__  # it is COMPUTED_BY of its file
