"""docs/measurements/performance.md, from what has been timed."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from studies.figures import save

HEAD = """# Performance

`python -m benchmarks.speed` times everything on this page, the variants of a table in turn within one run, and writes
it. Times are medians, with the smallest and the largest of the repeats in brackets; ratios are to the variant whose own
is 1. On a machine with a GPU: `python -m benchmarks.speed --device cuda`.
"""
TABLE = """
| | | seconds of a {unit} | ratio |{heads}
| --- | --- | --- | --- |{lines}
"""
PLOTS = "plots/speed"
FIGURES = {  # of a row, beside its seconds: name to head and format
    "peak_mib": ("peak, MiB", "{:,.0f}"),
    "per_minute": ("trials a minute", "{:.1f}"),
    "busy": ("busy", "{:.0f} %"),
    "best": ("best", "{:.1f}"),
    "reached": ("reached", "{:.1f}"),
}


def page(rows: Sequence[Mapping[str, Any]], measures: Mapping[str, ModuleType], folder: Path) -> str:
    """The page's text.

    Args:
        rows: as `benchmarks.speed` writes them.
        measures: the modules of the measures, by name.
        folder: of the page; plots go to `PLOTS` in it.
    """
    text = HEAD
    for device in dict.fromkeys(row["device"] for row in rows):
        of_device = [row for row in rows if row["device"] == device]
        for name, module in measures.items():
            measured = [row for row in of_device if row["measure"] == name]
            if measured:
                text += f"\n## {module.TITLE}{'' if device == 'cpu' else f', {device}'}\n{module.ABOUT}"
                text += f"\n`python -m benchmarks.speed {name}`; {_measured_on(measured)}.\n"
                sizes = "size" in measured[0]["more"]
                text += _plots(measured, folder, device) if sizes else _table(measured, module.BASELINE)
                text += _against_workers(measured, folder, device)
    return text + "\nThis page is written by `python -m benchmarks.speed`.\n"


def _measured_on(rows: Iterable[Mapping[str, Any]]) -> str:
    return "; ".join(dict.fromkeys(f"{row['machine']}, {row['date']}" for row in rows))


def _table(rows: Sequence[Mapping[str, Any]], against: str) -> str:
    units = dict.fromkeys(row["unit"] for row in rows)
    figures = [name for name in FIGURES if any(name in row["more"] for row in rows)]
    heads = "".join(f" {FIGURES[name][0]} |" for name in figures)
    text = TABLE.format(unit=" or ".join(units), heads=heads, lines=" --- |" * len(figures))
    settings = dict.fromkeys(row["setting"] for row in rows)
    for setting in settings:
        of_setting = [row for row in rows if row["setting"] == setting]
        base: list[float] = next((row["seconds"] for row in of_setting if row["variant"] == against), [])
        for number, row in enumerate(of_setting):
            cells = ["" if number else setting, row["variant"], _seconds(row["seconds"]), _ratio(row["seconds"], base)]
            cells += [FIGURES[name][1].format(row["more"][name]) if name in row["more"] else "" for name in figures]
            text += f"| {' | '.join(cells)} |\n"
    return text


def _seconds(repeats: Sequence[float]) -> str:
    if not repeats:
        return "never"
    text = f"{statistics.median(repeats):.3g}"
    return text if len(repeats) == 1 else f"{text} ({min(repeats):.3g} to {max(repeats):.3g})"


def _ratio(repeats: Sequence[float], base: Sequence[float]) -> str:
    return f"{statistics.median(repeats) / statistics.median(base):.3g}" if repeats and base else ""


def _against_workers(rows: Sequence[Mapping[str, Any]], folder: Path, device: str) -> str:
    """A plot of trials a minute, if there are rows of several numbers of workers."""
    from matplotlib.figure import Figure

    runs = [row["more"] for row in rows if "workers" in row["more"]]
    if len(runs) < 2:
        return ""
    figure = Figure(figsize=(4.5, 3), layout="constrained")
    axes = figure.subplots()
    workers = [run["workers"] for run in runs]
    axes.plot(workers, [run["per_minute"] for run in runs], marker="o")
    axes.set(xlabel="trials at a time", ylabel="trials a minute", xticks=workers)
    axes.set_ylim(bottom=0)
    name = f"{'' if device == 'cpu' else f'{device}-'}trials-a-minute.svg"
    save(figure, folder / PLOTS / name)
    return f"\n![trials a minute]({PLOTS}/{name})\n"


def _plots(rows: Sequence[Mapping[str, Any]], folder: Path, device: str) -> str:
    """One plot an axis, both of its scales logarithmic."""
    from matplotlib.figure import Figure

    text = "\n"
    for axis in dict.fromkeys(row["setting"] for row in rows):
        figure = Figure(figsize=(4.5, 3), layout="constrained")
        axes = figure.subplots()
        of_axis = [row for row in rows if row["setting"] == axis]
        for variant in dict.fromkeys(row["variant"] for row in of_axis):
            of_variant = [row for row in of_axis if row["variant"] == variant]
            medians = [1e3 * statistics.median(row["seconds"]) for row in of_variant]
            axes.plot([row["more"]["size"] for row in of_variant], medians, marker="o", label=variant)
        axes.set(xscale="log", yscale="log", xlabel=axis, ylabel="milliseconds")
        axes.legend(fontsize="small")
        name = f"{'' if device == 'cpu' else f'{device}-'}{axis.replace(' ', '-')}.svg"
        save(figure, folder / PLOTS / name)
        text += f"![{axis}]({PLOTS}/{name})\n"
    return text
