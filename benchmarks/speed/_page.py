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
it. Times are medians, with the least and the largest of the repeats in brackets; ratios are to the variant whose own
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
            found = [row for row in of_device if row["measure"] == name]
            if found:
                text += f"\n## {module.TITLE}{'' if device == 'cpu' else f', {device}'}\n{module.ABOUT}"
                text += f"\n`python -m benchmarks.speed {name}`; {_measured_on(found)}.\n"
                text += _plots(found, folder, device) if "size" in found[0]["more"] else _table(found, module.AGAINST)
                text += _against_workers(found, folder, device)
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


def _seconds(found: Sequence[float]) -> str:
    if not found:
        return "never"
    text = f"{statistics.median(found):.3g}"
    return text if len(found) == 1 else f"{text} ({min(found):.3g} to {max(found):.3g})"


def _ratio(found: Sequence[float], base: Sequence[float]) -> str:
    return f"{statistics.median(found) / statistics.median(base):.3g}" if found and base else ""


def _against_workers(rows: Sequence[Mapping[str, Any]], folder: Path, device: str) -> str:
    """A plot of trials a minute, if there are rows of several numbers of workers."""
    from matplotlib.figure import Figure

    found = [row["more"] for row in rows if "workers" in row["more"]]
    if len(found) < 2:
        return ""
    figure = Figure(figsize=(4.5, 3), layout="constrained")
    axes = figure.subplots()
    axes.plot([one["workers"] for one in found], [one["per_minute"] for one in found], marker="o")
    axes.set(xlabel="trials at a time", ylabel="trials a minute", xticks=[one["workers"] for one in found])
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
            found = [row for row in of_axis if row["variant"] == variant]
            medians = [1e3 * statistics.median(row["seconds"]) for row in found]
            axes.plot([row["more"]["size"] for row in found], medians, marker="o", label=variant)
        axes.set(xscale="log", yscale="log", xlabel=axis, ylabel="milliseconds")
        axes.legend(fontsize="small")
        name = f"{'' if device == 'cpu' else f'{device}-'}{axis.replace(' ', '-')}.svg"
        save(figure, folder / PLOTS / name)
        text += f"![{axis}]({PLOTS}/{name})\n"
    return text
