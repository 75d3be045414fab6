"""What trainings with a loss cost beside those with the regular loss, in seconds and memory."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from benchmarks.training._cells import COLUMNS, Line
from benchmarks.training._runs import REGULAR

LEAST_S = 10.0  # of a training whose overhead counts: older rows have seconds of imports in them
HEAD = """
### What it costs

Median seconds of a whole training without measuring, and peak memory of its process in MiB (ReLoss, table 15); in
brackets how much longer than with the regular loss. Of experiments whose regular training takes {least:g} s or more;
shorter ones tell little.

| experiment | regular loss | with the fitted loss | with the paper's | best by hand |
| --- | --- | --- | --- | --- |
"""


def section(lines: Sequence[Line]) -> str:
    """A line for each experiment of long trainings, of its first metric; empty if there is none."""
    texts = []
    for line in _firsts(lines):
        regular = _regular_s(line)
        if regular < LEAST_S:
            continue
        shown = []
        for column in (REGULAR, *COLUMNS):
            cell = line.cells.get(column)
            if cell is None:
                shown.append("-")
                continue
            seconds = statistics.median(cell.seconds)
            more = "" if column == REGULAR else f" ({100 * (seconds / regular - 1):+.0f} %)"
            name = f", {cell.arm.name}" if column == "rival" else ""
            shown.append(f"{seconds:.0f} s{more}, {cell.peak_mib:.0f} MiB{name}")
        texts.append(f"| {line.experiment} | {' | '.join(shown)} |\n")
    return HEAD.format(least=LEAST_S) + "".join(texts) if texts else ""


def overhead(lines: Sequence[Line]) -> float:
    """How much longer trainings with fitted losses take, as a share of regular ones: the median over experiments."""
    there = [line for line in _firsts(lines) if _regular_s(line) >= LEAST_S]
    shares = [statistics.median(line.cells["fitted"].seconds) / _regular_s(line) - 1 for line in there]
    return statistics.median(shares or [math.nan])


def _firsts(lines: Sequence[Line]) -> list[Line]:
    """The first of each experiment; trainings of later metrics may be of another day and machine."""
    return list({line.experiment: line for line in reversed(lines)}.values())[::-1]


def _regular_s(line: Line) -> float:
    """Seconds of a training with the regular loss."""
    return statistics.median(line.cells[REGULAR].seconds)
