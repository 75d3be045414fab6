"""How well a loss ranks points and improves the metric, and what its network cannot see."""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from autosurrogate.evaluation.descent import DescentPath
    from autosurrogate.evaluation.evaluator import Evaluator
    from autosurrogate.evaluation.invariances import Dependence, find_dependences

__all__ = ["Dependence", "DescentPath", "Evaluator", "find_dependences"]
__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "descent": ["DescentPath"],
        "evaluator": ["Evaluator"],
        "invariances": ["Dependence", "find_dependences"],
    },
)
