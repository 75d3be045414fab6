"""`autosurrogate metrics`: lists the built-in metrics."""

from __future__ import annotations

import argparse

from rich.table import Table

from autosurrogate.cli.printing import console
from autosurrogate.export import ready
from autosurrogate.registry import entry_points, parameters
from autosurrogate.registry.store import builtins


def run(options: argparse.Namespace) -> int:
    """Run the command."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in ("metric", "task", "level", "better", "source"):
        table.add_column(heading, no_wrap=True)
    table.add_column("loss", no_wrap=True, justify="right")
    with_loss = set(ready.names())
    settable: list[str] = []
    for metric in sorted(builtins(), key=lambda m: (m.task, m.name)):
        level = metric.level if metric.level == "sample" else f"set of {metric.set_size}"
        better = "higher" if metric.higher_is_better else "lower"
        table.add_row(metric.name, metric.task, level, better, metric.source, _spearman(metric.name, with_loss))
        if defaults := parameters.defaults(metric):
            settable.append(f"  {metric.name}: " + ", ".join(f"{name}={value}" for name, value in defaults.items()))
    out = console()
    out.print(table)
    out.print(
        "\nloss: Spearman's correlation of the ready loss on held-out points, per cent.\n"
        "`autosurrogate export f1` writes the loss; autosurrogate.load('f1') loads it."
    )
    out.print("\nParameters, set as in --metric 'pck?threshold=0.1':")
    out.print("\n".join(settable), markup=False)
    if shipped := entry_points.names():
        out.print("\nOf installed packages:")
        out.print("\n".join(f"  {name}: {package}" for name, package in sorted(shipped.items())), markup=False)
    out.print("\nOf libraries: --metric sklearn:f1_macro, --metric 'torchmetrics:JaccardIndex?task=multiclass'.")
    out.print("Your own: --metric file.py:function, decorated with autosurrogate.metric.")
    out.print("Metrics that depend on how tokens are spelled (such as chrf) need --tokenizer FILE.")
    return 0


def _spearman(metric: str, with_loss: set[str]) -> str:
    if metric not in with_loss:
        return ""
    return f"{100 * ready.spearman(metric):.1f}"
