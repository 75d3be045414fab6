"""Rank correlation and capacity of losses against what a model trained with them reaches (ReLoss, figure 3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from studies.figures import save
from studies.paper._study import Study
from studies.training._cells import Cell, cells, scale_of

AXES = {"spearman": "rank correlation on held-out points", "n_parameters": "parameters of the loss"}


def scatter(rows: Sequence[Mapping[str, Any]], studies: Mapping[str, Study], path: Path) -> bool:
    """Every loss that the studies have trained models with, one point each; a line of plots an experiment.

    A loss that was used in several ways counts once, beside the regular loss.

    Args:
        rows: as `studies.training` writes them.
        studies: by name.
        path: of the plot, SVG.

    Returns:
        Whether there was anything to show.
    """
    from matplotlib.figure import Figure

    points: dict[tuple[str, str], dict[str, Cell]] = {}
    for study in studies.values():
        for experiment, metric in study.experiments.items():
            by_arm = cells(experiment, study.parts()[experiment], rows, metric, study.n_seeds)
            of_its_own = {arm for arm, fit in study.fits.items() if fit.like is None}
            weighted = {arm: cell for arm, cell in by_arm.items() if cell.loss and cell.weight and arm in of_its_own}
            points.setdefault((experiment, metric), {}).update(weighted)
    shown = {key: by_arm for key, by_arm in points.items() if len(by_arm) > 1}
    if not shown:
        return False
    figure = Figure(figsize=(8, 3.2 * len(shown)), layout="constrained")
    lines = figure.subplots(len(shown), len(AXES), sharey="row", squeeze=False)
    for line, ((experiment, metric), by_arm) in zip(lines, shown.items(), strict=True):
        for axes, (name, label) in zip(line, AXES.items(), strict=True):
            for arm, cell in by_arm.items():
                x, y = cell.loss[name], scale_of(metric) * cell.mean
                axes.scatter(x, y, color="C0", s=16)
                axes.annotate(arm, (x, y), fontsize="x-small", xytext=(3, 3), textcoords="offset points")
            axes.set_xlabel(label)
            axes.margins(x=0.2)  # for the names
        line[0].set_ylabel(f"{experiment}: {metric} of the test split")
        line[1].set_xscale("log")
    save(figure, path)
    return True
