"""Labelled points: generated or recorded, stored in a run's folder."""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from autosurrogate.points.labelled_points import HeldOut, LabelledPoints, Points
    from autosurrogate.points.labelled_set import Chunk, LabelledSet
    from autosurrogate.points.metric_calls import points_of, set_size_of
    from autosurrogate.points.recorded_splits import split_recorded
    from autosurrogate.points.sampling import generate_chunk, generate_pilot, generator_of
    from autosurrogate.points.severity_calibration import Severities

__all__ = [
    "Chunk",
    "HeldOut",
    "LabelledPoints",
    "LabelledSet",
    "Points",
    "Severities",
    "generate_chunk",
    "generate_pilot",
    "generator_of",
    "points_of",
    "set_size_of",
    "split_recorded",
]
__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "labelled_points": ["HeldOut", "LabelledPoints", "Points"],
        "labelled_set": ["Chunk", "LabelledSet"],
        "metric_calls": ["points_of", "set_size_of"],
        "recorded_splits": ["split_recorded"],
        "sampling": ["generate_chunk", "generate_pilot", "generator_of"],
        "severity_calibration": ["Severities"],
    },
)
