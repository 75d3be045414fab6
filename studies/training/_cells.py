"""What has been measured of one loss, and of all losses of a row of the table."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from studies.training._comparison import Comparison
from studies.training._runs import REGULAR, Arm, Plan, Results
from studies.training._statistics import Difference, paired

BEST = {"bleu": 100.0, "chrf": 100.0, "edit_distance": 0.0}  # values of metrics that are not best at 1
MIN_SEEDS = 5  # of a loss that is shown
COLUMNS = {"fitted": "the fitted loss", "paper": "the paper's", "rival": "the best by hand"}


@dataclass(frozen=True)
class Cell:
    """Trainings with one loss, evaluated by one metric."""

    arm: Arm
    test: Mapping[int, float]  # by seed
    validation: Mapping[int, float]  # by seed
    seconds: Mapping[str, list[float]]  # of the trainings, by the day that they were made
    weight: float
    curves: list[Mapping[str, Mapping[str, float]]]  # step to the metrics of the validation split
    peak_mib: float  # the largest memory of the process, median of the trainings
    loss: Mapping[str, float]  # what the file of a fitted loss says of it

    @property
    def mean(self) -> float:
        """Of the test split, over the seeds."""
        return statistics.fmean(self.test.values())


@dataclass(frozen=True)
class Line:
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

    def shared_days(self, column: str) -> set[str]:
        """Days on which models were trained both with a loss and with the regular loss."""
        return self.cells[column].seconds.keys() & self.cells[REGULAR].seconds.keys()


def over(better: Cell, worse: Cell, sign: int) -> Difference:
    """How much better one loss is than another, over the seeds that both have been trained with."""
    seeds = sorted(better.test.keys() & worse.test.keys())
    return paired([sign * better.test[seed] for seed in seeds], [sign * worse.test[seed] for seed in seeds])


def cells(
    name: str, comparison: Comparison, rows: Sequence[Mapping[str, Any]], metric: str, n_seeds: int | None = None
) -> dict[str, Cell]:
    """The losses that have been trained with enough seeds, by name; of a fitted loss the last file.

    Args:
        name: of the experiment.
        comparison: the experiment.
        rows: as `studies.training` writes them.
        metric: which row of the table.
        n_seeds: how many of the seeds; by default all that a loss has been trained with, which are to be `MIN_SEEDS`
            or more, or as many as any loss has been trained with.
    """
    own = [row for row in rows if row["experiment"] == name]
    arms = [row["arm"] for row in own]
    digests = {(a["name"], a["metric"]): a["digest"] for a in arms if a["name"] in comparison.fits}
    seeds = tuple(sorted({row["seed"] for row in own if row["final"]}))[:n_seeds]
    plan = Plan(name, comparison, digests, seeds, Results(own))
    min_seeds = len(seeds) if n_seeds is not None else min(len(seeds), MIN_SEEDS)
    return {arm.name: cell for arm in plan.arms(metric) if (cell := _cell(plan, arm, metric, min_seeds))}


def lines_of(name: str, comparison: Comparison, rows: Sequence[Mapping[str, Any]]) -> Iterator[Line]:
    """The rows of the table that an experiment has, a metric each; of the rivals the one that is best on validation."""
    for metric, row in comparison.rows.items():
        sign = 1 if row.higher_is_better else -1
        by_column = cells(name, comparison, rows, metric)
        rivals = [cell for arm, cell in by_column.items() if arm in comparison.rivals]
        if rivals:
            seeds = set.intersection(*(set(cell.validation) for cell in rivals))
            by_column["rival"] = max(rivals, key=lambda cell: sign * sum(cell.validation[seed] for seed in seeds))
        if REGULAR in by_column:
            yield Line(name, metric, sign, by_column)


def _cell(plan: Plan, arm: Arm, metric: str, min_seeds: int) -> Cell | None:
    """None until that many seeds are trained."""
    finals = [plan.results.get(run) for run in plan.finals(arm, metric) or ()]
    measured = [row for row in finals if row is not None]
    if not measured or len(measured) < min_seeds:
        return None
    return Cell(
        arm,
        {row["seed"]: row["test"][metric] for row in measured},
        {row["seed"]: row["validation"][metric] for row in measured},
        {day: [row["seconds"] for row in measured if row["date"] == day] for day in {row["date"] for row in measured}},
        measured[0]["weight"],
        [row["curve"] for row in measured],
        statistics.median(row["peak_mib"] for row in measured),
        measured[0].get("loss", {}),
    )


def scale_of(metric: str) -> float:
    """What a metric is shown in: as it is, or in per cent."""
    return 1.0 if metric in BEST else 100.0


def figures(cell: Cell, scale: float) -> str:
    """Mean and standard deviation over the seeds."""
    deviation = statistics.stdev(cell.test.values()) if len(cell.test) > 1 else float("nan")
    return f"{scale * cell.mean:.2f} ± {scale * deviation:.2f}"
