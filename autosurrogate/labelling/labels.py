"""Labels: what a metric said of points, and whether it can be ranked by them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from autosurrogate.errors import LabellingError
from autosurrogate.labelling.worker import Kind, Problem
from autosurrogate.registry.metric_type import Metric

#: Above this share of points without a label a metric is not used.
MAX_DROPPED = 0.2
#: So many labels are needed to call a metric constant.
_FEWEST_LABELS = 8


@dataclass(frozen=True)
class Labels:
    """What a metric said of some points.

    Args:
        values: shape (n_points,), float64, NaN where the point is dropped.
        problems: one a dropped point, in the order of the points.
        seconds: from the start of the first call to the end of the last, by the clock on the wall.
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
        problems: one a dropped point.
        max_dropped: the largest share of points that may be dropped.

    Raises:
        LabellingError: too many points were dropped; or the metric returned no number; or its values, if there are
            8 or more, are all the same.
    """
    if len(problems) > max_dropped * len(values):
        raise too_many(metric, len(values), problems, max_dropped)
    kept = values[~np.isnan(values)]
    if len(kept) >= _FEWEST_LABELS and np.ptp(kept) <= 1e-12 * np.abs(kept).max():
        raise LabellingError(
            f"metric {metric.name!r} is constant: {kept[0]:g} on all {len(kept)} points, so there is nothing "
            f"to rank; does it look at preds, and does it expect view={metric.view!r} with level={metric.level!r}?"
        )


def too_many(metric: Metric, n_points: int, problems: Sequence[Problem], max_dropped: float) -> LabellingError:
    """The error that tells what became of a metric's points, `problems` of `n_points` being dropped."""
    counts = Counter(problem.kind for problem in problems).most_common()
    kind = counts[0][0]
    example = next(problem.message for problem in problems if problem.kind == kind)
    if len(counts) == 1 and kind == "not a number":
        per_example = ", or declare level='sample' if its values are of single examples" * (metric.level == "set")
        return LabellingError(
            f"metric {metric.name!r} returned no number on {len(problems)} of {n_points} points: it {example}; "
            f"return a float{per_example}"
        )
    told = ", ".join(f"{count} {kind}" for kind, count in counts)
    return LabellingError(
        f"metric {metric.name!r}: {len(problems)} of {n_points} points ({len(problems) / n_points:.0%}) are dropped, "
        f"at most {max_dropped:.0%} may be: {told}; for example: {example}; {_CURES[kind]}"
    )


_CURES: dict[Kind, str] = {
    "raised": "mend the function, or have it catch this and return a number",
    "timeout": "make the function quicker",
    "nan": "return a finite number, such as the worst value where the metric is not defined",
    "not a number": "return a float every time",
    "crashed": "a metric must not end its process",
}
