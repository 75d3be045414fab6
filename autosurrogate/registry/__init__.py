"""Metrics: how they are declared, found by name, file or function, and sent to other processes."""

from autosurrogate.registry import pickling  # so that every process that knows `Metric` can pickle it
from autosurrogate.registry.lookup import find
from autosurrogate.registry.metric_type import Level, Metric
from autosurrogate.registry.store import builtins

__all__ = ["Level", "Metric", "builtins", "find", "pickling"]
