"""Every built-in metric and every task hold what all must."""

from __future__ import annotations

import pytest

from autosurrogate import tasks
from autosurrogate.registry.lookup import find
from autosurrogate.registry.store import builtins
from autosurrogate.testing import Check, metric_checks, task_checks

METRIC_CHECKS = [pytest.param(c, id=f"{m.name}: {c}") for m in builtins() for c in metric_checks(m)]
TASK_CHECKS = [pytest.param(c, id=f"{name}: {c}") for name in tasks.names() for c in task_checks(name)]


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
