"""Labels: a metric run over many points in worker processes."""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from autosurrogate.labelling.labeller import Labeller
    from autosurrogate.labelling.labels import Labels, check_labels
    from autosurrogate.labelling.outcomes import Point, Problem

__all__ = ["Labeller", "Labels", "Point", "Problem", "check_labels"]
__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={"labeller": ["Labeller"], "labels": ["Labels", "check_labels"], "outcomes": ["Point", "Problem"]},
)
