"""Recorded outputs (G_M): files of what real models predicted, read by `read`, made by a `Recorder`."""

from autosurrogate.recorded import Recorded, read
from autosurrogate.recorder import Recorder

__all__ = ["Recorded", "Recorder", "read"]
