"""Writing exported losses, and reading them."""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from autosurrogate.export.metadata import LossMetadata
    from autosurrogate.export.ready import load

__all__ = ["LossMetadata", "load"]
__getattr__, __dir__, _ = lazy_loader.attach(__name__, submod_attrs={"metadata": ["LossMetadata"], "ready": ["load"]})
