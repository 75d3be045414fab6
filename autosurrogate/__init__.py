"""Differentiable losses for evaluation metrics that have no gradient."""

from pathlib import Path
from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from autosurrogate.examples import Examples
    from autosurrogate.export.ready import load
    from autosurrogate.pipeline.checking import Report, check
    from autosurrogate.pipeline.evaluating import evaluate
    from autosurrogate.pipeline.fit_run import FitResult
    from autosurrogate.pipeline.fitting import fit, resume
    from autosurrogate.registry.decorator import metric
    from autosurrogate.tasks import Task

__version__: str

# In a clone, metrics/, search_spaces/ and ready_losses/ are beside this package; in an installation, inside it.
if not (Path(__file__).parent / "metrics").is_dir():
    __path__.append(str(Path(__file__).parents[1]))

# A name is imported when it is first used, so that the help and the list of metrics do not wait for torch.
__all__ = [
    "Examples", "FitResult", "Report", "Task", "__version__", "check", "evaluate", "fit", "load", "metric", "resume",
]  # fmt: skip
__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "_utils.version": ["__version__"],
        "examples": ["Examples"],
        "export.ready": ["load"],
        "pipeline.checking": ["Report", "check"],
        "pipeline.evaluating": ["evaluate"],
        "pipeline.fit_run": ["FitResult"],
        "pipeline.fitting": ["fit", "resume"],
        "registry.decorator": ["metric"],
        "tasks": ["Task"],
    },
)
