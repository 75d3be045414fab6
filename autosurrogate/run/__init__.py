"""A run: its folder, its options, its budget, and what it reports while it goes on."""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from autosurrogate.run.budget import Clock
    from autosurrogate.run.options import Options
    from autosurrogate.run.progress import Progress
    from autosurrogate.run.run_dir import RunDir

__all__ = ["Clock", "Options", "Progress", "RunDir"]
__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={"budget": ["Clock"], "options": ["Options"], "progress": ["Progress"], "run_dir": ["RunDir"]},
)
