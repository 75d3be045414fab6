"""The section of docs/measurements/results.md on what `benchmarks.training_order` has measured."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from studies.training_outputs._halves import HALVES

Row = Mapping[str, Any]
GOOD = 0.85  # Somers' D
N_WORST = 10

HEADING = """
## From the untrained model on

`python -m benchmarks.training_order`: small models of every task, trained from scratch, their heads starting at zero or
by default, outputs on held-out examples recorded after 0, 1, 2, 4, 8, ... steps (`python -m studies.training_outputs`).
Each ready loss orders the points of all checkpoints together. *D* is Somers' D with respect to the metric in per cent:
of the pairs of points whose metric differs, those that are ordered rightly less those ordered wrongly. A fixed rule
divides the recordings into two halves: changes are developed with one, and the final half is for one look at the end.
"""
SUMMARY_HEAD = """
| {half}: task | pairs | below the regular loss | D below 85 | median D | regular loss | worst D |
| --- | --- | --- | --- | --- | --- | --- |
"""
WORST_HEAD = """
| {half}: the worst | outputs | D | regular loss | Spearman | regular loss | points |
| --- | --- | --- | --- | --- | --- | --- |
"""


def section(rows: Sequence[Row], heading: str = HEADING) -> str:
    """A summary by task and the worst pairs of recorded outputs and loss, of each half that is measured.

    Args:
        rows: as `benchmarks.training_order` writes them; of a loss that was measured again, the last ones count.
        heading: what the section begins with; without one, a half that is not measured is not mentioned.
    """
    latest = {(row["outputs"], row["metric"]): row for row in rows}.values()
    measured = [row for row in latest if row["loss_d"] is not None and row["regular_d"] is not None]
    text = heading
    for half in HALVES:
        of_half = [row for row in measured if row["half"] == half]
        if of_half:
            text += SUMMARY_HEAD.format(half=half) + "\n".join(_summary_lines(of_half)) + "\n"
            text += WORST_HEAD.format(half=half) + "\n".join(_worst_lines(of_half)) + "\n"
        elif heading:
            text += f"\nThe {half} half is not measured yet.\n"
    left_out = [f"{row['metric']} on {row['outputs']}" for row in latest if row not in measured]
    return text + (
        f"\nLeft out, as the metric is constant or not defined: {', '.join(sorted(left_out))}.\n" if left_out else ""
    )


def _summary_lines(rows: Sequence[Row]) -> Iterator[str]:
    tasks = sorted({row["task"] for row in rows})
    for name, members in [*((task, [r for r in rows if r["task"] == task]) for task in tasks), ("all", rows)]:
        losses = [row["loss_d"] for row in members]
        below = sum(row["loss_d"] < row["regular_d"] for row in members)
        medians = statistics.median(losses), statistics.median(row["regular_d"] for row in members)
        cells = [name, str(len(members)), str(below), str(sum(d < GOOD for d in losses)), *map(_percent, medians)]
        yield f"| {' | '.join(cells)} | {_percent(min(losses))} |"


def _worst_lines(rows: Sequence[Row]) -> Iterator[str]:
    for row in sorted(rows, key=lambda row: row["loss_d"])[:N_WORST]:
        figures = [_percent(row[name]) for name in ("loss_d", "regular_d", "loss_spearman", "regular_spearman")]
        yield f"| {row['metric']} | {row['outputs']} | {' | '.join(figures)} | {row['n_points']} |"


def _percent(fraction: float | None) -> str:
    return "-" if fraction is None else f"{100 * fraction:.1f}"
