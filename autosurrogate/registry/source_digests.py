"""A digest of the file that defines a metric, which changes when the file does."""

from __future__ import annotations

from autosurrogate._utils import digests
from autosurrogate.registry.metric_type import Metric


def of_metric(metric: Metric) -> str | None:
    """The digest of a metric's file, or of those of its parts; None for a metric that is not of a user's file."""
    if metric.parts:
        return " ".join(of_metric(part) or "" for part in metric.parts).strip() or None
    path, colon, _ = (metric.spec or "").partition("?")[0].rpartition(":")
    return digests.of_file(path) if colon and path.endswith(".py") else None
