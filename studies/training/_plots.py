"""The validation split during training, with each loss."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from studies.figures import save
from studies.training._cells import cells
from studies.training._comparison import Comparison


def curves(rows: Sequence[Mapping[str, Any]], comparisons: Mapping[str, Comparison], folder: Path) -> list[Path]:
    """One plot an experiment that is measured, of its first metric.

    Args:
        rows: as `studies.training` writes them.
        comparisons: the experiments by name.
        folder: where the plots are written, as SVG.

    Returns:
        The files.
    """
    from matplotlib.figure import Figure

    paths = []
    for name, comparison in comparisons.items():
        metric = next(iter(comparison.rows))
        shown = cells(name, comparison, rows, metric)
        if not shown:
            continue
        figure = Figure(figsize=(5, 3.2), layout="constrained")
        axes = figure.subplots()
        for arm, cell in shown.items():
            steps = sorted(map(int, cell.curves[0]))
            means = [statistics.fmean(curve[str(step)][metric] for curve in cell.curves) for step in steps]
            axes.plot(steps, means, label=arm, linewidth=2 if arm in ("regular", "fitted") else 1)
        axes.set_xlabel("step")
        axes.set_ylabel(metric)
        axes.set_title(name)
        axes.legend(fontsize="small")
        path = folder / f"{name}.svg"
        save(figure, path)
        paths.append(path)
    return paths
