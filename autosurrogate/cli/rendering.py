"""What the command line prints: progress while it runs, tables at the end."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from autosurrogate.run.progress import Progress

if TYPE_CHECKING:
    from autosurrogate.pipeline.checking import Report

PLAIN_LINE_EVERY_S = 2.0  # where the output is not a terminal
WIDTH = 1000  # where the output is not a terminal: every line stays one


def console() -> Console:
    """Where to print; a live line in a terminal, plain lines elsewhere."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, soft_wrap=True, width=WIDTH)


class ConsoleProgress(Progress):
    """Shows progress as one line that changes, or as plain lines where the output is not a terminal."""

    def __init__(self, to: Console) -> None:
        self._console = to
        lively = to.is_terminal and not to.is_dumb_terminal
        self._live = Live(console=to, auto_refresh=False, transient=True) if lively else None
        self._printed: dict[str, float] = {}  # what is shown, to when a line of it was printed

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

    def labelled(self, n_done: int, n_total: int, points_per_s: float, kind: str = "") -> None:
        """Show how far labelling is."""
        text = f"{n_done:,} of {n_total:,} {kind}points  {points_per_s:,.0f} points/s"
        self._show("labelling", f"labelling  {text}", last=n_done >= n_total)

    def trial(self, number: int, best: float, regular: float, left_s: float) -> None:
        """Show how far the search is."""
        so_far = "none yet" if math.isnan(best) else f"{100 * best:.1f}"
        self._show(
            "trial",
            f"trial {number}  best held-out Spearman {so_far}  regular loss {100 * regular:.1f}  "
            f"{max(0.0, left_s):.0f} s left",
        )

    def _show(self, what: str, text: str, last: bool = False) -> None:
        if self._live is not None:
            self._live.update(Text(text), refresh=True)
        elif last or time.monotonic() - self._printed.get(what, -math.inf) >= PLAIN_LINE_EVERY_S:
            self._printed[what] = time.monotonic()
            self._console.print(text, markup=False)


def agreement_table(sections: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Table:
    """Rank correlations in per cent with their 95 % intervals.

    Args:
        sections: title to name to values, as `asdict(Agreement)` gives them; a title that is empty is not shown.
    """
    table = Table(box=None, pad_edge=False)
    table.add_column("", overflow="fold")
    for heading in ("Spearman", "95 %", "Kendall", "95 %", "points"):
        table.add_column(heading, justify="right", no_wrap=True)
    for title, rows in sections.items():
        if title:
            table.add_row(title)
        for name, row in rows.items():
            cells: list[str] = []
            for what in ("spearman", "kendall"):
                low, high = row[f"{what}_interval"]
                cells += [f"{100 * row[what]:.1f}", f"{100 * low:.1f} to {100 * high:.1f}"]
            table.add_row(Text(f"  {name}" if title else name), *cells, f"{row['n_points']:,}")
    return table


def figures(metadata: Mapping[str, Any]) -> Table:
    """The rank correlations of a fitted loss and of the regular loss."""
    sections: dict[str, dict[str, Mapping[str, Any]]] = {}
    for key, where in (("held_out", "held-out generated"), ("held_out_recorded", "held-out recorded")):
        if key in metadata:
            rows = {f"{metadata['metric']} loss": metadata[key]["loss"], "regular loss": metadata[key]["regular"]}
            sections[where] = rows
    return agreement_table(sections)


def facts(metadata: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The other figures of a fitted loss: what, and what is to be said of it."""
    descent, norm, generator = metadata["descent"], metadata["gradient_norm"], metadata["generator"]
    labelled, search = metadata["labelled"], metadata["search"]
    settings = ", ".join(f"{k} {v}" for k, v in metadata["network"].items() if k != "name")
    dropped = ""
    if labelled["n_dropped"]:
        kinds = ", ".join(f"{count} {kind}" for kind, count in labelled["dropped"].items())
        dropped = f"; {labelled['n_dropped']} dropped ({kinds}), for example: {labelled['example']}"
    sizes = metadata["held_out"]["set_sizes"]
    each = ", ".join(f"{100 * one['loss']:.1f} for {one['size']}" for one in sizes)
    weight = f" with weight {descent['weight']:g}" if "weight" in descent else ""  # not in files of before
    return [
        *([("mixture", metadata["mixture"])] if "mixture" in metadata else []),
        *([("set sizes", f"Spearman {each} examples a set, held-out generated points")] if sizes else []),
        (
            "descent check",
            f"metric gains {descent['gain']:.4g} over a distance of {descent['distance']:.3g}{weight}, along the "
            f"regular loss alone {descent['regular_gain']:.4g} ({descent['n_points']} points)",
        ),
        ("network", f"{metadata['network']['name']} ({settings}), {metadata['n_parameters']:,} parameters"),
        (
            "gradient norm",
            f"{norm['loss']:.3g} (median of a point), regular loss {norm['regular']:.3g}; suggested weight "
            f"{metadata['suggested_weight']:g}",
        ),
        ("labelled points", f"{labelled['n_points']:,}{dropped}"),
        (
            "generated points",
            f"{generator['low']:.4g} to {generator['high']:.4g} on the metric, coverage "
            f"{100 * generator['coverage']:.0f} %",
        ),
        (
            "search",
            f"trials: {search['n_complete']} completed, {search['n_pruned']} pruned, number {search['trial']} chosen; "
            f"seed {metadata['seed']}",
        ),
    ]


def check_facts(report: Report) -> list[tuple[str, str]]:
    """What was found of a metric: what, and what is to be said of it."""
    from autosurrogate import tasks  # which needs torch, as the listing of metrics does not

    metric = report.metric
    level = "one example" if metric.level == "sample" else f"a set of {metric.set_size} examples"
    better = "higher" if metric.higher_is_better else "lower"
    lines = [
        ("metric", f"{metric.name}, {better} is better; computed by {metric.source}"),
        ("task", f"{tasks.kind(metric.task)}, view {metric.view!r}, {level} a call"),
    ]
    for shown in report.shown:
        lines += [("called with", f"preds {shown.preds}"), ("", f"target {shown.target}"), ("", f"-> {shown.returned}")]
    dropped = ", ".join(f"{count} {kind}" for kind, count in report.dropped.items())
    lines.append(("calls", f"{report.n_points:,}, {dropped or 'none failed'}; {report.calls_per_s:,.0f} a second"))
    if not math.isnan(report.low):
        ends = f"a mean of {report.easy:.4g} on the easiest tenth of the points, {report.hard:.4g} on the hardest"
        lines += [
            ("values", f"{report.low:.4g} to {report.high:.4g}; {ends}"),
            ("coverage", f"{100 * report.coverage:.0f} % of that range by points as they are generated for a fit"),
            ("ties", f"{100 * report.ties:.0f} % of the points share their value with another"),
            ("called again", f"{100 * report.changed:.0f} % of the values changed" if report.changed else "the same"),
        ]
    for one in report.dependences:
        told = "does not matter"
        if one.matters:
            seen = f"which {', '.join(one.seen_by)} sees" if one.seen_by else "which no network sees"
            told = f"moves {100 * one.moved:.0f} % of the values, {seen}"
        lines.append((one.what, told))
    return lines


def print_facts(to: Console, lines: Sequence[tuple[str, str]]) -> None:
    """Print them, a line each; in a terminal, the second column wraps in itself."""
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


def use(path: str, arguments: Sequence[str], weight: float) -> str:
    """The three lines that use a loss.

    Args:
        path: the loss's file.
        arguments: what the loss is called with, as a trainer names it.
        weight: of the loss beside the regular loss.
    """
    factor = "" if weight == 1 else f"{weight:g} * "
    return f"""import torch
loss_fn = torch.jit.load({path!r})
loss = regular_loss + {factor}loss_fn({", ".join(arguments)})  # lower is better"""
