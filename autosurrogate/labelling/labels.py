"""Labels: the values of a metric on points, and whether they can be ranked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from autosurrogate.errors import LabellingError
from autosurrogate.labelling.outcomes import Kind, Problem
from autosurrogate.registry.metric_type import Metric

#: The largest fraction of points without a label at which a metric is used.
MAX_DROPPED = 0.2
#: So many labels are needed to call a metric constant.
_MIN_LABELS = 8


@dataclass(frozen=True)
class Labels:
    """The values of a metric on some points.

    Args:
        values: shape (n_points,), float64, NaN where the point is dropped.
        problems: one for each dropped point, in the order of the points.
        seconds: from the start of the first call to the end of the last, by the wall clock.
    """

    values: np.ndarray
    problems: list[Problem]
    seconds: float


def check_labels(
    metric: Metric, values: np.ndarray, problems: Sequence[Problem], *, max_dropped: float = MAX_DROPPED
) -> None:
    """Check that a metric can be ranked, from its labels of a few points or of all.

    Args:
        metric: whose labels they are.
        values: shape (n_points,), NaN where a point was dropped.
        problems: one for each dropped point.
        max_dropped: the largest fraction of points that may be dropped.

    Raises:
        LabellingError: too many points were dropped; or the metric returned no number; or its values, if there are
            8 or more, are all the same.
    """
    if len(problems) > max_dropped * len(values):
        raise too_many_dropped(metric, len(values), problems, max_dropped)
    valid = values[~np.isnan(values)]
    if len(valid) >= _MIN_LABELS and np.ptp(valid) <= 1e-12 * np.abs(valid).max():
        raise LabellingError(
            f"metric {metric.name!r} is constant: {valid[0]:g} on all {len(valid)} points, so there is nothing "
            f"to rank; does it look at preds, and does it expect view={metric.view!r} with level={metric.level!r}?"
        )


def too_many_dropped(metric: Metric, n_points: int, problems: Sequence[Problem], max_dropped: float) -> LabellingError:
    """The error for a metric of whose `n_points` points too many are dropped, one for each of `problems`."""
    counts = Counter(problem.kind for problem in problems).most_common()
    kind = counts[0][0]
    example = next(problem.message for problem in problems if problem.kind == kind)
    if len(counts) == 1 and kind == "not a number":
        per_example = ", or declare level='sample' if its values are of single examples" * (metric.level == "set")
        return LabellingError(
            f"metric {metric.name!r} returned no number on {len(problems)} of {n_points} points: it {example}; "
            f"return a float{per_example}"
        )
    kinds = ", ".join(f"{count} {kind}" for kind, count in counts)
    return LabellingError(
        f"metric {metric.name!r}: {len(problems)} of {n_points} points ({len(problems) / n_points:.0%}) are dropped, "
        f"at most {max_dropped:.0%} may be: {kinds}; for example: {example}; {_CURES[kind]}"
    )


_CURES: dict[Kind, str] = {
    "raised": "fix the function, or have it catch this and return a number",
    "timeout": "make the function quicker",
    "nan": "return a finite number, such as the worst value where the metric is not defined",
    "not a number": "return a float every time",
    "crashed": "a metric must not end its process",
}
