"""What the command line prints: progress while it runs, tables at the end."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from autosurrogate.progress import Progress

PLAIN_LINE_EVERY_S = 2.0  # where the output is not a terminal
WIDTH = 100  # of tables where the output is not a terminal


def console(*, stderr: bool = False) -> Console:
    """Where to print; colours and a live line in a terminal, plain lines elsewhere."""
    found = Console(stderr=stderr, highlight=False, soft_wrap=True)
    return found if found.is_terminal else Console(stderr=stderr, highlight=False, soft_wrap=True, width=WIDTH)


class ConsoleProgress(Progress):
    """Shows progress as one line that changes, or as plain lines where the output is not a terminal."""

    def __init__(self, to: Console) -> None:
        self._console = to
        self._live = Live(console=to, auto_refresh=False, transient=True) if to.is_terminal else None
        self._printed = -math.inf

    def __enter__(self) -> ConsoleProgress:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def say(self, text: str) -> None:
        """Print a line."""
        self._console.print(text, markup=False)

    def labelled(self, n_done: int, n_total: int, points_per_s: float) -> None:
        """Show how far labelling is."""
        self._show(f"labelling  {n_done:,} of {n_total:,} points  {points_per_s:,.0f} points/s", last=n_done >= n_total)

    def trial(self, number: int, best: float, regular: float, left_s: float) -> None:
        """Show how far the search is."""
        self._show(
            f"trial {number}  best held-out Spearman {100 * best:.1f}  regular loss {100 * regular:.1f}  "
            f"{max(0.0, left_s):.0f} s left"
        )

    def _show(self, text: str, last: bool = False) -> None:
        if self._live is not None:
            self._live.update(Text(text), refresh=True)
        elif last or time.monotonic() - self._printed >= PLAIN_LINE_EVERY_S:
            self._printed = time.monotonic()
            self._console.print(text, markup=False)


def agreement_table(rows: Mapping[str, Mapping[str, Any]]) -> Table:
    """Rank correlations in per cent with their 95 % intervals, a row each; values as `asdict(Agreement)` gives them."""
    table = Table(box=None, pad_edge=False)
    for heading in ("", "Spearman", "95 %", "Kendall", "95 %", "points"):
        table.add_column(heading, justify="left" if not heading else "right", no_wrap=True)
    for name, row in rows.items():
        cells = [f"{100 * row[k]:.1f}" for k in ("spearman", "kendall")]
        intervals = [
            "{:.1f} to {:.1f}".format(*(100 * v for v in row[f"{k}_interval"])) for k in ("spearman", "kendall")
        ]
        table.add_row(name, cells[0], intervals[0], cells[1], intervals[1], f"{row['n_points']:,}")
    return table


def figures(metadata: Mapping[str, Any]) -> Table:
    """The rank correlations of a fitted loss and of the regular loss."""
    rows: dict[str, Mapping[str, Any]] = {}
    for key, where in (("held_out", "held-out generated"), ("held_out_recorded", "held-out recorded")):
        if key in metadata:
            rows[f"{metadata['metric']} loss, {where}"] = metadata[key]["loss"]
            rows[f"regular loss, {where}"] = metadata[key]["regular"]
    return agreement_table(rows)


def facts(metadata: Mapping[str, Any]) -> list[str]:
    """The other figures of a fitted loss, a line each."""
    descent, norm, generator = metadata["descent"], metadata["gradient_norm"], metadata["generator"]
    settings = ", ".join(f"{k} {v}" for k, v in metadata["network"].items() if k != "name")
    return [
        f"descent check     metric gains {descent['gain']:.4g} over a distance of {descent['distance']:g}, "
        f"along the regular loss {descent['regular_gain']:.4g} ({descent['n_points']} points)",
        f"network           {metadata['network']['name']} ({settings}), {metadata['n_parameters']:,} parameters",
        f"gradient norm     {norm['loss']:.3g} (median of a point), regular loss {norm['regular']:.3g}; "
        f"suggested weight {metadata['suggested_weight']:g}",
        f"generated points  {generator['low']:.4g} to {generator['high']:.4g} on the metric, "
        f"coverage {100 * generator['coverage']:.0f} %",
        f"search            {metadata['search']['n_complete']} trials, {metadata['search']['n_pruned']} pruned; "
        f"trial {metadata['search']['trial']} chosen; seed {metadata['seed']}",
    ]


USE = {
    "classification": "logits, classes",
    "sequence": "logits, tokens",
}


def use(path: str, task: str) -> str:
    """The three lines that use a loss."""
    arguments = USE.get(task, "preds, target")
    return f"""import torch
loss_fn = torch.jit.load({path!r})
loss = regular_loss + loss_fn({arguments})  # lower is better; add it, with weight 1 to begin with"""
