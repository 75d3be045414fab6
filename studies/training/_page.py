"""The tables of what training with a loss gains, from the rows that `studies.training` has measured."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from autosurrogate.export import ready
from studies.training import _costs
from studies.training._cells import BEST, COLUMNS, Line, figures, lines_of, scale_of
from studies.training._comparison import Comparison
from studies.training._losses import digest
from studies.training._runs import REGULAR
from studies.training._statistics import holm

NOISE = 0.05  # of a p value, Holm-corrected over the rows
HEAD = """
## What training with a loss gains

`python -m studies.training NAME --seeds N --jobs 2`, N for each experiment as below the table: the same models from
the same seeds and in the same order of the data, with the regular loss alone; with the regular loss and the loss that
`autosurrogate fit --metric` writes by default; with the paper's network and settings in its place; and with losses made
by hand. The weight beside the regular loss (0.3, 1, 3 or 10; for tables to 30, for translation 1 to 30, for detection
0.1 to 30, for recognition 0.03 to 1), or for a loss that stands alone the factor of the learning rate (0.3, 1, 2 or 4),
was chosen on the validation split, in trainings half as long for recognition and pose, 0.4 as long for translation;
with a loss beside it the learning rate is the one that was best for the regular loss by the metric that the loss is
fitted to. Figures are of the test split: mean and standard deviation, and in brackets the mean paired difference from
the regular loss with its 95 % t interval, positive where the metric is better.
The tables oil_spill, phoneme, haberman and breast_cancer are split again for each seed, and the weight is chosen on the
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


def section(rows: Sequence[Mapping[str, Any]], comparisons: Mapping[str, Comparison]) -> str:
    """The section of docs/measurements/results.md; empty if nothing is measured.

    Args:
        rows: as `studies.training` writes them.
        comparisons: the experiments by name.
    """
    lines = [line for name, comparison in comparisons.items() for line in lines_of(name, comparison, rows)]
    if not lines:
        return ""
    noise = {column: _corrected(lines, column) for column in COLUMNS}
    table = "\n".join(_shown(line, {c: p[i] for c, p in noise.items()}) for i, line in enumerate(lines))
    below = f"{_seeds(lines)}{_earlier(lines)}{_apart(lines, comparisons)}{_summary(lines)}"
    return f"{HEAD}{table}\n\n{below}{_costs.section(lines)}"


def _corrected(lines: Sequence[Line], column: str) -> list[float]:
    """Corrected p values, a row each; 1 where there is nothing to compare."""
    differences = [line.over(column) for line in lines]
    compared = [
        i for i, difference in enumerate(differences) if difference is not None and difference.p == difference.p
    ]
    corrected = holm([differences[i].p for i in compared])  # type: ignore[union-attr]
    ps = dict(zip(compared, corrected, strict=True))
    return [ps.get(i, 1.0) for i in range(len(lines))]


def _shown(line: Line, ps: Mapping[str, float]) -> str:
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


def _seeds(lines: Sequence[Line]) -> str:
    """With how many seeds each experiment was trained, and with which losses with fewer."""
    most: dict[str, dict[str, int]] = {}  # seeds by experiment and column
    for line in lines:
        own = most.setdefault(line.experiment, {})
        for column, cell in line.cells.items():
            own[column] = max(own.get(column, 0), len(cell.test))
    names: dict[int, list[str]] = {}
    for experiment, own in most.items():
        fewer = [f"{own[c]} with {loss}" for c, loss in COLUMNS.items() if own.get(c, own[REGULAR]) < own[REGULAR]]
        names.setdefault(own[REGULAR], []).append(f"{experiment} ({', '.join(fewer)})" if fewer else experiment)
    seeds = [f"{n} of {', '.join(experiments)}" for n, experiments in sorted(names.items())]
    return f"Seeds: {'; '.join(seeds)}.\n\n"


def _earlier(lines: Sequence[Line]) -> str:
    """Which rows are of a loss that came ready before the one that does now; empty if none is."""
    of_now = {name: digest(ready.path(name)) for name in ready.names()}
    cells = {f"{line.experiment} {line.metric}": line.cells.get("fitted") for line in lines}
    earlier = [
        row
        for row, cell in cells.items()
        if cell is not None and of_now.get(cell.arm.metric, cell.arm.digest) != cell.arm.digest
    ]
    return f"Of the loss that came ready before the one that does now: {', '.join(earlier)}.\n\n" if earlier else ""


def _apart(lines: Sequence[Line], comparisons: Mapping[str, Comparison]) -> str:
    """Which losses may start from another pretraining than the regular loss; empty if none does."""
    apart = []
    for line in lines:
        if comparisons[line.experiment].pretraining is None:
            continue
        losses = [loss for column, loss in COLUMNS.items() if column in line.cells and not line.shared_days(column)]
        if losses:
            apart.append(f"{line.experiment} {line.metric} with {' and '.join(losses)}")
    start = "Trained on another day than with the regular loss, from a pretraining that may differ as rounding does"
    return f"{start}: {'; '.join(apart)}.\n\n" if apart else ""


def _summary(lines: Sequence[Line]) -> str:
    parts = [_count(lines, "fitted", REGULAR, "the regular loss"), _count(lines, "fitted", "paper", "the paper's loss")]
    parts.append(_count(lines, "fitted", "rival", "the best loss made by hand"))
    ours = [line for line in lines if "fitted" in line.cells]
    if ours:
        errors = [_error_reduction(line) for line in ours]
        reduction, overhead = 100 * statistics.fmean(errors), _costs.overhead(ours)
        parts.append(f"Mean relative reduction of the error over the {len(ours)} rows: {reduction:.1f} %.")
        if overhead is not None:
            parts[-1] += (
                f" Median overhead in wall-clock time of the whole training, over the experiments whose regular "
                f"training takes {_costs.MIN_S:g} s or more: {100 * overhead:.0f} %."
            )
    return "\n".join(filter(None, parts)) + "\n"


def _count(lines: Sequence[Line], column: str, base: str, named: str) -> str:
    compared = [(line, difference) for line in lines if (difference := line.over(column, base)) is not None]
    ps = holm([difference.p for _, difference in compared if difference.p == difference.p])
    if not compared or len(ps) < len(compared):
        return ""
    ahead = sum(difference.mean > 0 for _, difference in compared)
    sure = [(line, difference.mean) for (line, difference), p in zip(compared, ps, strict=True) if p < NOISE]
    behind = [f"{line.experiment} {line.metric}" for line, mean in sure if mean < 0]
    names = f" ({', '.join(behind)})" if behind else ""
    return (
        f"Against {named}: ahead in {ahead} of {len(compared)} rows, beyond noise in {len(sure) - len(behind)}; behind "
        f"beyond noise in {len(behind)}{names}."
    )


def _error_reduction(line: Line) -> float:
    """Fraction of the regular loss's distance to the best value that is gone: means over seeds that both have."""
    best = BEST.get(line.metric, 1.0)
    tests = [line.cells[column].test for column in ("fitted", REGULAR)]
    seeds = sorted(tests[0].keys() & tests[1].keys())
    ours, theirs = (abs(best - statistics.fmean(test[seed] for seed in seeds)) for test in tests)
    return 1 - ours / theirs if theirs > 0 else 0.0
