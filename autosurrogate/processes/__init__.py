"""Worker processes and the pipes to them."""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from autosurrogate.processes.worker_process import WorkerLost, WorkerProcess

__all__ = ["WorkerLost", "WorkerProcess"]
__getattr__, __dir__, _ = lazy_loader.attach(__name__, submod_attrs={"worker_process": ["WorkerLost", "WorkerProcess"]})
