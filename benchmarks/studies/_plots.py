"""Rank correlation and capacity of losses against what a model trained with them reaches (ReLoss, figure 3)."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.figures import save
from benchmarks.studies._study import Study
from benchmarks.training._page import cells, scale_of

AXES = {"spearman": "rank correlation on held-out points", "n_parameters": "parameters of the loss"}


def scatter(
    rows: Sequence[Mapping[str, Any]], studies: Mapping[str, Study], experiment: str, metric: str, path: Path
) -> bool:
    """Every loss that the studies have trained the models of an experiment with, one point each.

    Args:
        rows: as `benchmarks.training` writes them.
        studies: by name.
        experiment: its name.
        metric: what the models are judged by.
        path: of the plot, SVG.

    Returns:
        Whether there was anything to show.
    """
    from matplotlib.figure import Figure

    found = {}
    for study in studies.values():
        if study.experiments.get(experiment) == metric:
            found |= cells(experiment, study.parts()[experiment], rows, metric)
    points = {arm: cell for arm, cell in found.items() if cell.loss and cell.weight}
    if len(points) < 2:
        return False
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    for axes, (name, label) in zip(figure.subplots(1, len(AXES), sharey=True), AXES.items(), strict=True):
        for arm, cell in points.items():
            x, y = cell.loss[name], scale_of(metric) * statistics.fmean(cell.test)
            axes.scatter(x, y, color="C0", s=16)
            axes.annotate(arm, (x, y), fontsize="x-small", xytext=(3, 3), textcoords="offset points")
        axes.set_xlabel(label)
    figure.axes[0].set_ylabel(f"{metric} of the test split")
    figure.axes[1].set_xscale("log")
    save(figure, path)
    return True
