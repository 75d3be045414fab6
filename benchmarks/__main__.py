"""Write docs/measurements/results.md, with its plots, from what the benchmarks have measured.

python -m benchmarks
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks import PAGES, correlation, correlation_page, libraries, training_order, training_order_page
from benchmarks.unseen_metrics import page as unseen_metrics_page
from studies import predictors, rows
from studies.paper import _page as studies_page
from studies.paper import toy
from studies.paper._suite import STUDIES
from studies.training._page import section
from studies.training._plots import curves
from studies.training._running import RESULTS
from studies.training._suite import SCALES, comparisons

TAIL = """
This page is written by `python -m benchmarks`.
"""


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--docs", type=Path, default=PAGES, help="folder to write to (docs/measurements/)")
    folder = parser.parse_args().docs
    trained = list(rows.read(RESULTS))
    known = {name: comparison for scale in SCALES for name, comparison in comparisons(scale).items()}
    text = correlation_page.page(list(rows.read(correlation.RESULTS)), correlation.FLOORS) + section(trained, known)
    plots = curves(trained, known, folder / "plots")
    if plots:
        text += "\nThe validation split during training, mean over the seeds (as ReLoss, figure 4):\n\n"
        text += "\n".join(f"![{path.stem}](plots/{path.name})" for path in plots) + "\n"
    text += training_order_page.section(list(rows.read(training_order.RESULTS)))
    text += libraries.section(list(rows.read(libraries.RESULTS)))
    text += unseen_metrics_page.section(list(rows.read(unseen_metrics_page.RESULTS)))
    text += predictors.section(list(rows.read(predictors.RESULTS)))
    text += studies_page.section(trained, STUDIES, list(rows.read(toy.RESULTS)), folder / "plots", "plots")
    (folder / "results.md").write_text(text + TAIL, encoding="utf-8")


if __name__ == "__main__":
    main()
