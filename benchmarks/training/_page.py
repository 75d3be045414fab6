"""The tables of what training with a loss gains, from the rows that `benchmarks.training` has measured."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autosurrogate import ready
from benchmarks.training._comparison import Comparison
from benchmarks.training._losses import digest
from benchmarks.training._runs import REGULAR, Arm, Plan, Results
from benchmarks.training._statistics import Difference, holm, paired

BEST = {"bleu": 100.0, "chrf": 100.0, "edit_distance": 0.0}  # values of metrics that are not best at 1
LEAST_S = 10.0  # of a training whose overhead counts: older rows have seconds of imports in them
LEAST_SEEDS = 5  # of a loss that is shown
NOISE = 0.05  # of a p value, Holm-corrected over the rows
COLUMNS = {"fitted": "the fitted loss", "paper": "the paper's", "rival": "the best by hand"}
HEAD = """
## What training with a loss gains

`python -m benchmarks.training NAME --seeds N --jobs 2`, N for each experiment as below the table: the same models from
the same seeds and in the same order of the data, with the regular loss alone; with the regular loss and the loss that
`autosurrogate fit --metric` writes by default; with the paper's network and settings in its place; and with losses made
by hand. The weight beside the regular loss (0.3, 1, 3 or 10; for tables to 30, for translation 1 to 30, for recognition
0.03 to 1), or for a loss that stands alone the factor of the learning rate (0.3, 1, 2 or 4), was chosen on the
validation split, in trainings half as long for recognition and pose, 0.4 as long for translation; with a loss beside it
the learning rate is the one that was best for the regular loss by the metric that the loss is fitted to. Figures are of
the test split: mean and standard deviation, and in brackets the mean paired difference from the regular loss with its
95 % t interval, positive where the metric is better.
The tables oil_spill, phoneme, haberman and breast_cancer are split anew for each seed, and the weight is chosen on the
validation parts of three (phoneme) or ten other splits. Their numbers of seeds had been raised, for all losses alike,
after some had been seen; the fitted losses here are of a search space that was settled later, on more other splits of
the same tables, and were trained with as many seeds. Then that of oil_spill was raised twice more, and those of
phoneme, detection and autoregressive_de_en once, for the regular loss and the fitted ones alone (`--losses fitted`),
each time after the figures of fewer had been seen. Losses are compared on the seeds that both were trained with; a dash
is not measured. Minimum risk training draws four candidates each for eight sentences of a batch of 32.
Bold: beyond noise, two-sided paired t test, p < 0.05 after Holm's correction over the rows of the table. *Best by hand*
is the one that is best on the validation split.

| experiment | metric | regular loss | with the fitted loss | with the paper's | best by hand |
| --- | --- | --- | --- | --- | --- |
"""


COST_HEAD = """
### What it costs

Median seconds of a whole training without measuring, and peak memory of its process in MiB (ReLoss, table 15); in
brackets how much longer than with the regular loss. Of experiments whose regular training takes {least:g} s or more;
shorter ones tell little.

| experiment | regular loss | with the fitted loss | with the paper's | best by hand |
| --- | --- | --- | --- | --- |
"""


@dataclass(frozen=True)
class Cell:
    """Trainings with one loss, judged by one metric."""

    arm: Arm
    test: Mapping[int, float]  # by seed
    validation: Mapping[int, float]  # by seed
    seconds: list[float]
    weight: float
    curves: list[Mapping[str, Mapping[str, float]]]  # step to the metrics of the validation split
    peak_mib: float  # the largest memory of the process, median of the trainings
    loss: Mapping[str, float]  # what the file of a fitted loss says of it

    @property
    def mean(self) -> float:
        """Of the test split, over the seeds."""
        return statistics.fmean(self.test.values())


@dataclass(frozen=True)
class _Line:
    """One row of the table."""

    experiment: str
    metric: str
    sign: int
    cells: Mapping[str, Cell]  # by column

    def over(self, column: str, base: str = REGULAR) -> Difference | None:
        """How much better one column is than another."""
        if column not in self.cells or base not in self.cells:
            return None
        return over(self.cells[column], self.cells[base], self.sign)


def over(better: Cell, worse: Cell, sign: int) -> Difference:
    """How much better one loss is than another, over the seeds that both have been trained with."""
    seeds = sorted(better.test.keys() & worse.test.keys())
    return paired([sign * better.test[seed] for seed in seeds], [sign * worse.test[seed] for seed in seeds])


def section(rows: Sequence[Mapping[str, Any]], comparisons: Mapping[str, Comparison]) -> str:
    """The section of docs/results.md; empty if nothing is measured.

    Args:
        rows: as `benchmarks.training` writes them.
        comparisons: the experiments by name.
    """
    lines = [line for name, comparison in comparisons.items() for line in _lines(name, comparison, rows)]
    if not lines:
        return ""
    noise = {column: _corrected(lines, column) for column in COLUMNS}
    table = "\n".join(_shown(line, {c: p[i] for c, p in noise.items()}) for i, line in enumerate(lines))
    return f"{HEAD}{table}\n\n{_seeds(lines)}{_earlier(lines)}{_summary(lines)}{_costs(lines)}"


def cells(
    name: str, comparison: Comparison, rows: Sequence[Mapping[str, Any]], metric: str, n_seeds: int | None = None
) -> dict[str, Cell]:
    """The losses that have been trained with as many seeds as are to be, by name; of a fitted loss the last one.

    Args:
        name: of the experiment.
        comparison: the experiment.
        rows: as `benchmarks.training` writes them.
        metric: which row of the table.
        n_seeds: how many of the seeds; by default all that a loss has been trained with, which are to be `LEAST_SEEDS`
            or more, or as many as any loss has been trained with.
    """
    own = [row for row in rows if row["experiment"] == name]
    arms = [row["arm"] for row in own]
    digests = {(a["name"], a["metric"]): a["digest"] for a in arms if a["name"] in comparison.fits}
    seeds = tuple(sorted({row["seed"] for row in own if row["final"]}))[:n_seeds]
    plan = Plan(name, comparison, digests, seeds, Results(own))
    least = len(seeds) if n_seeds is not None else min(len(seeds), LEAST_SEEDS)
    return {arm.name: cell for arm in plan.arms(metric) if (cell := _cell(plan, arm, metric, least))}


def _lines(name: str, comparison: Comparison, rows: Sequence[Mapping[str, Any]]) -> Iterator[_Line]:
    for metric, row in comparison.rows.items():
        sign = 1 if row.higher_is_better else -1
        found = cells(name, comparison, rows, metric)
        rivals = [cell for arm, cell in found.items() if arm in comparison.rivals]
        if rivals:
            seeds = set.intersection(*(set(cell.validation) for cell in rivals))
            found["rival"] = max(rivals, key=lambda cell: sign * sum(cell.validation[seed] for seed in seeds))
        if REGULAR in found:
            yield _Line(name, metric, sign, found)


def _cell(plan: Plan, arm: Arm, metric: str, least: int) -> Cell | None:
    """None until that many seeds are there."""
    found = [plan.results.get(run) for run in plan.finals(arm, metric) or ()]
    there = [row for row in found if row is not None]
    if not there or len(there) < least:
        return None
    return Cell(
        arm,
        {row["seed"]: row["test"][metric] for row in there},
        {row["seed"]: row["validation"][metric] for row in there},
        [row["seconds"] for row in there],
        there[0]["weight"],
        [row["curve"] for row in there],
        statistics.median(row["peak_mib"] for row in there),
        there[0].get("loss", {}),
    )


def _corrected(lines: Sequence[_Line], column: str) -> list[float]:
    """Corrected p values, a row each; 1 where there is nothing to compare."""
    found = [line.over(column) for line in lines]
    there = [i for i, difference in enumerate(found) if difference is not None and difference.p == difference.p]
    corrected = holm([found[i].p for i in there])  # type: ignore[union-attr]
    ps = dict(zip(there, corrected, strict=True))
    return [ps.get(i, 1.0) for i in range(len(lines))]


def _shown(line: _Line, ps: Mapping[str, float]) -> str:
    scale = scale_of(line.metric)
    texts = [figures(line.cells[REGULAR], scale)]
    for column in COLUMNS:
        if column not in line.cells:
            texts.append("-")
            continue
        difference, cell = line.over(column), line.cells[column]
        assert difference is not None
        low, high = (scale * end for end in difference.interval)
        text = f"{figures(cell, scale)} ({scale * difference.mean:+.2f}: {low:+.2f} to {high:+.2f})"
        text = f"**{text}**" if ps[column] < NOISE else text
        settings = f", weight {cell.weight:g}" if cell.weight else ""
        texts.append(f"{text}{f' {cell.arm.name}' if column == 'rival' else ''}{settings}")
    return f"| {line.experiment} | {line.metric} | {' | '.join(texts)} |"


def _seeds(lines: Sequence[_Line]) -> str:
    """With how many seeds each experiment was trained, and with which losses with fewer."""
    most: dict[str, dict[str, int]] = {}  # seeds by experiment and column
    for line in lines:
        own = most.setdefault(line.experiment, {})
        for column, cell in line.cells.items():
            own[column] = max(own.get(column, 0), len(cell.test))
    names: dict[int, list[str]] = {}
    for experiment, own in most.items():
        fewer = [f"{own[c]} with {told}" for c, told in COLUMNS.items() if own.get(c, own[REGULAR]) < own[REGULAR]]
        names.setdefault(own[REGULAR], []).append(f"{experiment} ({', '.join(fewer)})" if fewer else experiment)
    told = [f"{n} of {', '.join(found)}" for n, found in sorted(names.items())]
    return f"Seeds: {'; '.join(told)}.\n\n"


def _earlier(lines: Sequence[_Line]) -> str:
    """Which rows are of a loss that came ready before the one that does now; empty if none is."""
    of_now = {name: digest(ready.path(name)) for name in ready.names()}
    cells = {f"{line.experiment} {line.metric}": line.cells.get("fitted") for line in lines}
    earlier = [
        row
        for row, cell in cells.items()
        if cell is not None and of_now.get(cell.arm.metric, cell.arm.digest) != cell.arm.digest
    ]
    return f"Of the loss that came ready before the one that does now: {', '.join(earlier)}.\n\n" if earlier else ""


def _costs(lines: Sequence[_Line]) -> str:
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
    return COST_HEAD.format(least=LEAST_S) + "".join(texts) if texts else ""


def _firsts(lines: Sequence[_Line]) -> list[_Line]:
    """The first of each experiment; trainings of later metrics may be of another day and machine."""
    return list({line.experiment: line for line in reversed(lines)}.values())[::-1]


def _regular_s(line: _Line) -> float:
    """Seconds of a training with the regular loss."""
    return statistics.median(line.cells[REGULAR].seconds)


def scale_of(metric: str) -> float:
    """What a metric is shown in: as it is, or in per cent."""
    return 1.0 if metric in BEST else 100.0


def figures(cell: Cell, scale: float) -> str:
    """Mean and standard deviation over the seeds."""
    deviation = statistics.stdev(cell.test.values()) if len(cell.test) > 1 else float("nan")
    return f"{scale * cell.mean:.2f} ± {scale * deviation:.2f}"


def _summary(lines: Sequence[_Line]) -> str:
    parts = [_count(lines, "fitted", REGULAR, "the regular loss"), _count(lines, "fitted", "paper", "the paper's loss")]
    parts.append(_count(lines, "fitted", "rival", "the best loss made by hand"))
    ours = [line for line in lines if "fitted" in line.cells]
    if ours:
        errors = [_error_reduction(line) for line in ours]
        parts.append(
            f"Mean relative reduction of the error over the {len(ours)} rows: {100 * statistics.fmean(errors):.1f} %. "
            f"Median overhead in wall-clock time of the whole training, over the experiments whose regular training "
            f"takes {LEAST_S:g} s or more: {100 * _overhead(ours):.0f} %."
        )
    return "\n".join(filter(None, parts)) + "\n"


def _count(lines: Sequence[_Line], column: str, base: str, named: str) -> str:
    compared = [(line, found) for line in lines if (found := line.over(column, base)) is not None]
    ps = holm([found.p for _, found in compared if found.p == found.p])
    if not compared or len(ps) < len(compared):
        return ""
    ahead = sum(found.mean > 0 for _, found in compared)
    sure = [(line, found.mean) for (line, found), p in zip(compared, ps, strict=True) if p < NOISE]
    behind = [f"{line.experiment} {line.metric}" for line, mean in sure if mean < 0]
    told = f" ({', '.join(behind)})" if behind else ""
    return (
        f"Against {named}: ahead in {ahead} of {len(compared)} rows, beyond noise in {len(sure) - len(behind)}; behind "
        f"beyond noise in {len(behind)}{told}."
    )


def _overhead(lines: Sequence[_Line]) -> float:
    """How much longer trainings with fitted losses take, as a share of regular ones: the median over experiments."""
    there = [line for line in _firsts(lines) if _regular_s(line) >= LEAST_S]
    shares = [statistics.median(line.cells["fitted"].seconds) / _regular_s(line) - 1 for line in there]
    return statistics.median(shares or [math.nan])


def _error_reduction(line: _Line) -> float:
    """Share of the regular loss's distance to the best value that is gone, of the means over seeds that both have."""
    best = BEST.get(line.metric, 1.0)
    both = [line.cells[column].test for column in ("fitted", REGULAR)]
    seeds = sorted(both[0].keys() & both[1].keys())
    ours, theirs = (abs(best - statistics.fmean(test[seed] for seed in seeds)) for test in both)
    return 1 - ours / theirs if theirs > 0 else 0.0
