"""Recorded outputs (G_M): files of what real models predicted, read by `read`, written by a `Recorder`."""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from autosurrogate.outputs.reader import Recorded, read
    from autosurrogate.outputs.recorder import Recorder

__all__ = ["Recorded", "Recorder", "read"]
__getattr__, __dir__, _ = lazy_loader.attach(
    __name__, submod_attrs={"reader": ["Recorded", "read"], "recorder": ["Recorder"]}
)
