"""Training of one surrogate on labelled points."""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from autosurrogate.training.calibration import calibrate
    from autosurrogate.training.feature_table import FeatureTable, tabulate
    from autosurrogate.training.loop import Settings, Tables, held_out_correlation, train

__all__ = ["FeatureTable", "Settings", "Tables", "calibrate", "held_out_correlation", "tabulate", "train"]
__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "calibration": ["calibrate"],
        "feature_table": ["FeatureTable", "tabulate"],
        "loop": ["Settings", "Tables", "held_out_correlation", "train"],
    },
)
