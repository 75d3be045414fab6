"""Tables and lines as they suit a terminal or a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from autosurrogate.export.metadata import StratumOrder
from autosurrogate.rank_correlation.agreement import Agreement

WIDTH = 1000  # columns where the output is not a terminal, so that no line is wrapped


def console() -> Console:
    """A console for the standard output, which wraps lines only in a terminal."""
    terminal = Console(highlight=False)
    return terminal if terminal.is_terminal else Console(highlight=False, soft_wrap=True, width=WIDTH)


def print_lines(to: Console, lines: Sequence[tuple[str, str]]) -> None:
    """Print names and texts, a line each; in a terminal, long texts wrap within their column."""
    width = max(16, *(len(name) for name, _ in lines))
    if not to.is_terminal:
        for name, text in lines:
            to.print(f"{name:<{width}}  {text}", markup=False)
        return
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, min_width=width)
    grid.add_column(overflow="fold")
    for name, text in lines:
        grid.add_row(name, Text(text))
    to.print(grid)


def agreement_table(sections: Mapping[str, Mapping[str, Agreement]]) -> Table:
    """Rank correlations in per cent with their 95 % confidence intervals.

    Args:
        sections: title to name of a loss to its correlations; an empty title is not shown.
    """
    table = Table(box=None, pad_edge=False)
    table.add_column("per cent", overflow="fold")
    for heading in ("Spearman", "95 % CI", "Kendall", "95 % CI", "points"):
        table.add_column(heading, justify="right", no_wrap=True)
    for title, rows in sections.items():
        if title:
            table.add_row(title)
        for name, row in rows.items():
            cells = [
                cell
                for value, (low, high) in (
                    (row.spearman, row.spearman_interval),
                    (row.kendall, row.kendall_interval),
                )
                for cell in (f"{100 * value:.1f}", f"{100 * low:.1f} to {100 * high:.1f}")
            ]
            table.add_row(Text(f"  {name}" if title else name), *cells, f"{row.n_points:,}")
    return table


def strata_table(strata: Sequence[StratumOrder], behind: Sequence[StratumOrder]) -> Table:
    """Somers' D in per cent of a loss and of the regular loss within each kind of points.

    Args:
        strata: the kinds.
        behind: those that the loss orders worse than the regular loss does, which are marked.
    """
    table = Table(box=None, pad_edge=False)
    table.add_column("Somers' D, per cent", overflow="fold")
    for heading in ("loss", "regular loss", "points", ""):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in strata:
        figures = (f"{100 * figure:.1f}" for figure in (row.loss_somers_d, row.regular_loss_somers_d))
        table.add_row(row.name, *figures, f"{row.n_points:,}", "worse" if row in behind else "")
    return table


def shown_path(path: str | Path) -> str:
    """A path as the user would type it in the working folder."""
    path = Path(path).absolute()
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
