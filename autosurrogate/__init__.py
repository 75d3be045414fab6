"""Differentiable losses for evaluation metrics that have no gradient."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from autosurrogate.metric import metric

if TYPE_CHECKING:
    from autosurrogate.checking import Report, check
    from autosurrogate.examples import Examples
    from autosurrogate.fit_run import FitResult
    from autosurrogate.fitting import fit, resume
    from autosurrogate.ready import load
    from autosurrogate.recorded_evaluation import evaluate
    from autosurrogate.tasks import Task

__all__ = ["Examples", "FitResult", "Report", "Task", "check", "evaluate", "fit", "load", "metric", "resume"]

# In a clone, metrics/, search_spaces/ and ready_losses/ stand beside this package; installed, inside it.
if not (Path(__file__).parent / "metrics").is_dir():
    __path__.append(str(Path(__file__).parents[1]))

_HOMES = {
    "Examples": "examples",
    "FitResult": "fit_run",
    "Report": "checking",
    "Task": "tasks",
    "check": "checking",
    "evaluate": "recorded_evaluation",
    "fit": "fitting",
    "load": "ready",
    "resume": "fitting",
}


def __getattr__(name: str) -> Any:
    """Import what needs torch when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
