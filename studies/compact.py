"""Compact the results: keep what the tables and plots are made of, many rows a line.

    python -m studies.compact

Run it before new results are committed: a training appends all that it measured. Kept are the metrics that a loss is
compared by and the curve of the plotted metric; losses that a later fit has replaced are dropped. Afterwards
`python -m benchmarks` writes the same pages, and trainings that were stopped continue from the compact rows.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from studies import predictors, rows
from studies.training._comparison import Comparison
from studies.training._running import RESULTS
from studies.training._runs import REGULAR
from studies.training._suite import NAMED, SCALES, comparisons

Row = Mapping[str, Any]
GROUPED_BY = ("experiment", "factor", "weight", "final")  # and the loss
GROUPED_PREDICTORS_BY = (*predictors.KIND, "budget", "experiment", "trial", "weight")


def main() -> None:
    """Rewrite the files of results."""
    argparse.ArgumentParser(
        prog="python -m studies.compact", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    rows.write_compact(RESULTS, trainings(rows.read(RESULTS)), _group_of_training)
    rows.write_compact(
        predictors.RESULTS,
        map(of_predictors, rows.read(predictors.RESULTS)),
        lambda row: tuple(row.get(name) for name in GROUPED_PREDICTORS_BY),
    )


def _group_of_training(row: Row) -> tuple[Any, ...]:
    return *(row[name] for name in GROUPED_BY), *row["arm"].values()


def trainings(measured: Iterable[Row]) -> Iterator[Row]:
    """Rows of `studies.training`, with what its tables and plots read.

    Args:
        measured: as `studies.training` writes them, or as they come from here.
    """
    measured = list(measured)
    plotted = {name: comparison for scale in SCALES for name, comparison in comparisons(scale).items()}
    known = {name: comparison for scale in NAMED for name, comparison in comparisons(scale).items()}
    digests = {_loss_of(row): row["arm"]["digest"] for row in measured}  # of the last file of each loss
    order = {loss: i for i, loss in enumerate(digests)}  # tables and plots have losses in the order of their first row
    latest = {_run_of(row): row for row in measured}
    for row in sorted(latest.values(), key=lambda row: order[_loss_of(row)]):
        if row["arm"]["digest"] == digests[_loss_of(row)]:
            yield _training(row, known[row["experiment"]], plotted.get(row["experiment"]))


def _run_of(row: Row) -> tuple[Any, ...]:
    """The same for rows of one training; the last one counts, as in `Results`."""
    return *_group_of_training(row), row["seed"]


def _loss_of(row: Row) -> tuple[str, str, str]:
    return row["experiment"], row["arm"]["name"], row["arm"]["metric"]


def _training(row: Row, comparison: Comparison, plotted: Comparison | None) -> Row:
    """A row with the metrics that its loss is compared by, and the curve of a final training that is plotted."""
    fitted_to = row["arm"]["metric"]
    names = [name for name, values in comparison.rows.items() if fitted_to in ("", values.fitted)]
    kept = {**row, "validation": _only(row["validation"], names), "test": row["test"] and _only(row["test"], names)}
    kept["curve"] = {}
    if plotted is not None and row["final"]:
        first = next(iter(plotted.rows))
        if first in names and row["arm"]["name"] in {REGULAR, *plotted.fits, *plotted.rivals}:
            kept["curve"] = {step: _only(values, [first]) for step, values in row["curve"].items()}
    return kept


def of_predictors(row: Row) -> Row:
    """A row of `studies.predictors`, with the metric that its losses are fitted to."""
    return {**row, "validation": _only(row["validation"], [row["metric"]])}


def _only(values: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: values[name] for name in names if name in values}


if __name__ == "__main__":
    main()
