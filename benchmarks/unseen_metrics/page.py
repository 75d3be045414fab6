"""What is measured of the sample, as a section of docs/measurements/results.md."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.fits import GOOD, counted, line
from benchmarks.unseen_metrics.specs import HALVES, SPECS

Row = Mapping[str, Any]

RESULTS = Path(__file__).parents[1] / "results" / "unseen_metrics.jsonl"
HEAD = """
## Metrics that nothing was built for

`python -m benchmarks.unseen_metrics`: metrics as users write them, of {n_libraries} libraries and of papers, each
fitted in {budget} by one worker with seed 0; rank correlations (Spearman, per cent) on held-out generated points, of
the loss and of the regular loss. A hash of its name decides the half that a metric belongs to: the package is
developed with the one; the other is fitted once, at the end.
"""
TITLES = {"development": "The half that was developed with", "final": "The half that was held back"}
TABLE = """
### {title}

| metric | task | computed by | loss | regular loss | or why there is none |
| --- | --- | --- | --- | --- | --- |
"""


def section(measured: Sequence[Row]) -> str:
    """Both halves apart, each with its summary; empty where nothing is measured."""
    if not measured:
        return ""
    libraries = {spec.source.library for spec in SPECS if spec.source.package}
    budget = " or ".join(sorted({row["budget"] for row in measured}))
    text = HEAD.format(n_libraries=len(libraries), budget=budget)
    for half in HALVES:
        mine = [row for row in measured if row["half"] == half]
        if mine:
            text += TABLE.format(title=TITLES[half]) + "\n".join(map(row_line, mine)) + "\n\n" + summary(mine) + "\n"
    return text


def row_line(row: Row) -> str:
    """A line of the table."""
    return line((f"`{row['metric']}`", row["task"], row["library"]), row)


def summary(measured: Sequence[Row]) -> str:
    """How many of some metrics were fitted well, and the median of those that were fitted."""
    good, refused = counted(measured)
    text = f"Of {len(measured)}: {good} ({100 * good / len(measured):.0f} %) at {100 * GOOD:.0f} or more"
    correlations = [100 * row["loss"] for row in measured if "loss" in row]
    if correlations:
        text += f", the median of those with a loss {statistics.median(correlations):.1f}"
    return f"{text}; {refused} without a loss."
