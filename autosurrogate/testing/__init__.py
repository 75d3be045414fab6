"""What every metric and every task must hold, as checks to run on your own.

    from autosurrogate.testing import check_metric
    check_metric("my_metrics.py:gleu")

raises `ConformanceError` with all that is wrong. In pytest, a test each:

    @pytest.mark.parametrize("check", metric_checks("my_metrics.py:gleu"), ids=str)
    def test_it_conforms(check):
        check()
"""

from autosurrogate.errors import ConformanceError
from autosurrogate.testing._check import Check
from autosurrogate.testing.metrics import check_metric, metric_checks
from autosurrogate.testing.tasks import check_task, task_checks

__all__ = ["Check", "ConformanceError", "check_metric", "check_task", "metric_checks", "task_checks"]
