"""Checks that every metric and every task must pass; run them on your own.

    from autosurrogate.testing import check_metric
    check_metric("my_metrics.py:gleu")

raises `ConformanceError` with everything that is wrong. In pytest, each check is a test:

    @pytest.mark.parametrize("check", metric_checks("my_metrics.py:gleu"), ids=str)
    def test_it_conforms(check):
        check()
"""

from autosurrogate.errors import ConformanceError
from autosurrogate.testing._check import Check
from autosurrogate.testing.metrics import check_metric, metric_checks
from autosurrogate.testing.tasks import check_task, task_checks

__all__ = ["Check", "ConformanceError", "check_metric", "check_task", "metric_checks", "task_checks"]
