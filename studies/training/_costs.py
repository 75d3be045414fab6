"""What trainings with a loss cost beside those with the regular loss, in seconds and memory."""

from __future__ import annotations

import statistics
from collections.abc import Collection, Sequence

from studies.training._cells import COLUMNS, Line
from studies.training._runs import REGULAR

MIN_S = 10.0  # of a training whose overhead counts: older rows have seconds of imports in them
HEAD = """
### What it costs

Median seconds of a whole training without measuring, and peak memory of its process in MiB (ReLoss, table 15); in
brackets how much longer than with the regular loss, by the trainings of days when both were trained with: machines of
different days differ. Of experiments whose regular training takes {min_s:g} s or more; shorter ones show little.

| experiment | regular loss | with the fitted loss | with the paper's | best by hand |
| --- | --- | --- | --- | --- |
"""


def section(lines: Sequence[Line]) -> str:
    """A line for each experiment of long trainings, of its first metric; empty if there is none."""
    texts = []
    for line in _long(lines):
        shown = [_shown(line, column) for column in (REGULAR, *COLUMNS)]
        texts.append(f"| {line.experiment} | {' | '.join(shown)} |\n")
    return HEAD.format(min_s=MIN_S) + "".join(texts) if texts else ""


def overhead(lines: Sequence[Line]) -> float | None:
    """How much longer trainings with fitted losses take, as a fraction, median over experiments; None without any."""
    overheads = [longer for line in _long(lines) if (longer := _longer(line, "fitted")) is not None]
    return statistics.median(overheads) if overheads else None


def _long(lines: Sequence[Line]) -> list[Line]:
    """The first line of each experiment of long trainings."""
    firsts = {line.experiment: line for line in reversed(lines)}.values()
    return [line for line in reversed(firsts) if _median(line, REGULAR) >= MIN_S]


def _shown(line: Line, column: str) -> str:
    cell = line.cells.get(column)
    if cell is None:
        return "-"
    longer = _longer(line, column) if column != REGULAR else None
    more = "" if longer is None else f" ({100 * longer:+.0f} %)"
    name = f", {cell.arm.name}" if column == "rival" else ""
    return f"{_median(line, column):.0f} s{more}, {cell.peak_mib:.0f} MiB{name}"


def _longer(line: Line, column: str) -> float | None:
    """How much longer a training takes than with the regular loss, as a fraction; None if no day has both."""
    days = line.shared_days(column) if column in line.cells else None
    return _median(line, column, days) / _median(line, REGULAR, days) - 1 if days else None


def _median(line: Line, column: str, days: Collection[str] | None = None) -> float:
    """Seconds of a training, of some days or of all."""
    by_day = line.cells[column].seconds
    return statistics.median(s for day, seconds in by_day.items() if days is None or day in days for s in seconds)
