"""What a metric is: declared by users, by libraries or here, and found by name, file or function."""

from autosurrogate.registry import pickling  # so that a metric is pickled by its name
from autosurrogate.registry.lookup import find
from autosurrogate.registry.metric_type import Level, Metric
from autosurrogate.registry.store import builtins

__all__ = ["Level", "Metric", "builtins", "find", "pickling"]
