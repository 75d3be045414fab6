"""What `fit`, `check` and `evaluate` do, step by step."""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from autosurrogate.pipeline.checking import Report, check
    from autosurrogate.pipeline.evaluating import evaluate
    from autosurrogate.pipeline.fit_run import FitResult
    from autosurrogate.pipeline.fitting import fit, resume

__all__ = ["FitResult", "Report", "check", "evaluate", "fit", "resume"]
__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "checking": ["Report", "check"],
        "evaluating": ["evaluate"],
        "fit_run": ["FitResult"],
        "fitting": ["fit", "resume"],
    },
)
