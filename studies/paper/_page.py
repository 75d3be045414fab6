"""The sections of docs/measurements/results.md on the paper's studies, from the rows of their trainings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from studies.paper import toy
from studies.paper._plots import scatter
from studies.paper._study import Study
from studies.training._cells import cells, figures, over, scale_of
from studies.training._runs import REGULAR
from studies.training._statistics import Difference

HEAD = """
## The paper's studies

The studies of Huang et al. (ICLR 2022) on the models of this page. Metrics are of the test split, mean and standard
deviation over the seeds; in brackets the mean paired difference from the regular loss with its 95 % t interval, and in
the last column that from the fitted loss, positive where the metric is better. *Rank* is the loss's rank correlation
with the metric on held-out generated points, in per cent. Intervals are not corrected for their number.
"""


def section(
    rows: Sequence[Mapping[str, Any]],
    studies: Mapping[str, Study],
    toys: Sequence[Mapping[str, Any]],
    plots: Path,
    folder: str,
) -> str:
    """A table or a plot each; empty if nothing is measured.

    Args:
        rows: as `studies.training` writes them.
        studies: by name.
        toys: as `studies.paper.toy` writes them.
        plots: where the plots are written.
        folder: the same, as the page names it.
    """
    parts = [table for name, study in studies.items() if (table := _table(name, study, rows))]
    if scatter(rows, studies, plots / "figure_3.svg"):
        parts.append(f"\n![figure 3]({folder}/figure_3.svg)\n")
    if toys:
        toy.plot(toys, plots / "figure_2.svg")
        parts.append(f"{toy.section(toys)}\n![figure 2]({folder}/figure_2.svg)\n")
    return HEAD + "".join(parts) if parts else ""


def _table(name: str, study: Study, rows: Sequence[Mapping[str, Any]]) -> str:
    lines = [line for experiment in study.experiments for line in _lines(experiment, study, rows)]
    if not lines:
        return ""
    title = name.replace("_", " ").capitalize()
    paper = f" In the paper, {study.paper}." if study.paper else ""
    return (
        f"\n### {title}: {study.question}\n\n`python -m studies.paper {name} --jobs 2`.{paper}\n\n"
        "| experiment | metric | loss | rank | parameters | test | over the fitted |\n"
        "| --- | --- | --- | --- | --- | --- | --- |\n"
    ) + "".join(f"{line}\n" for line in lines)


def _lines(experiment: str, study: Study, rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A line each for the regular loss and the others; none unless one of the study's own is measured."""
    metric = study.experiments[experiment]
    comparison = study.parts()[experiment]
    by_arm = cells(experiment, comparison, rows, metric, study.n_seeds)
    if not set(by_arm) & ({*study.fits, *study.rivals} - {"fitted"} or {"fitted"}):
        return
    scale, sign = scale_of(metric), 1 if comparison.rows[metric].higher_is_better else -1
    for arm, cell in by_arm.items():
        text = figures(cell, scale)
        if REGULAR in by_arm and arm != REGULAR:
            text += f" ({_difference(over(cell, by_arm[REGULAR], sign), scale)})"
        from_fitted = "-"
        if "fitted" in by_arm and arm not in (REGULAR, "fitted"):
            from_fitted = _difference(over(cell, by_arm["fitted"], sign), scale)
        rank = f"{100 * cell.loss['spearman']:.1f}" if cell.loss else "-"
        size = f"{cell.loss['n_parameters']:.0f}" if cell.loss else "-"
        yield f"| {experiment} | {metric} | {arm} | {rank} | {size} | {text} | {from_fitted} |"


def _difference(difference: Difference, scale: float) -> str:
    low, high = (scale * end for end in difference.interval)
    return f"{scale * difference.mean:+.2f}: {low:+.2f} to {high:+.2f}"
