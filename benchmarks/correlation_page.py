"""docs/measurements/results.md, from the rows that `benchmarks.correlation` has measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]
Floors = Mapping[str, tuple[float, str]]

HEAD = """# Results

Losses fitted by `autosurrogate fit` to generated points alone, and how they rank predictions. No fit saw the recorded
outputs, and no trial was chosen by them; but they were looked at while features and generators were settled, so that
outputs of other models may rank lower. The models are in `studies/models`: small ones,
trained on real data, their outputs on examples that they were not trained on recorded from early to late in training.

Spearman / Kendall: rank correlations with the metric in per cent, positive where a lower loss goes with a better
metric. The *regular loss* is the one that the task is trained with anyway. The *paper's network* sees what the
paper's does (the probability of the target, its heatmap), trained as in the paper (λ = 10, Adam 0.01, diffsort);
where the paper has none for a task it is one that sees the target's probability. *Approximation* is the search with
the mean squared error against the metric as objective.

These rows are of losses that were chosen by an earlier rule and descent check, from earlier networks and search spaces,
and of recognisers that were trained on fewer rendered words; they are to be measured again. Those of f1,
average_precision and roc_auc in the first table have been.
"""
FLOORS_HEAD = """
## On outputs of real models

`python -m benchmarks.correlation --table floors`: two minutes a fit, of seeds 0, 1 and 2 those that are measured.

| metric | outputs | regular loss | seeds | worst | to be reached |
| --- | --- | --- | --- | --- | --- |
"""
SURVEY_HEAD = """
## Every metric, one seed

`python -m benchmarks.correlation`: 20 seconds a fit, first on held-out generated points, then on each of the recorded
outputs. A † marks a loss that `fit` would have refused to write: it does not beat the regular loss in rank correlation
or in the descent check.

| metric | points | regular loss | paper's network | approximation | search |
| --- | --- | --- | --- | --- | --- |
"""


def page(rows: Sequence[Row], floors: Floors) -> str:
    """The first sections of docs/measurements/results.md.

    Args:
        rows: as `benchmarks.correlation` writes them.
        floors: metric to what its loss must reach, in per cent, and the outputs it is evaluated on.
    """
    machines = sorted({f"{row['machine']}, {row['jobs']} fits at a time, {row['date']}" for row in rows})
    measured = f"\nMeasured on: {'; '.join(machines)}.\n"
    seeds = "\n".join(_floor_lines(rows, floors))
    survey = "\n".join(_survey_lines(rows))
    tables = [f"{head}{lines}\n" for head, lines in ((FLOORS_HEAD, seeds), (SURVEY_HEAD, survey)) if lines]
    return f"{HEAD}{measured}{''.join(tables)}"


def _floor_lines(rows: Sequence[Row], floors: Floors) -> Iterator[str]:
    for metric, (floor, outputs) in floors.items():
        of = [r for r in rows if (r["setting"], r["metric"], r["budget"]) == ("search", metric, "2m")]
        by_seed = [r["outputs"][outputs] for r in sorted(of, key=lambda r: r["seed"]) if outputs in r["outputs"]]
        if by_seed:
            spearman = [100 * (ranks["spearman"] or 0.0) for ranks in by_seed]  # of a constant loss it is not defined
            regular = next((_pair(ranks, "regular_") for ranks in by_seed if "regular_spearman" in ranks), "-")
            each = ", ".join(f"{value:.1f}" for value in spearman)
            yield f"| {metric} | {outputs} | {regular} | {each} | {min(spearman):.1f} | {floor:g} |"


def _survey_lines(rows: Sequence[Row]) -> Iterator[str]:
    survey = {(r["metric"], r["setting"]): r for r in rows if (r["seed"], r["budget"]) == (0, "20s")}
    order = {r["metric"]: (r["task"], r["metric"]) for r in survey.values()}
    for metric in sorted(order, key=lambda name: order[name]):
        of = {setting: survey.get((metric, setting)) for setting in ("paper's network", "approximation", "search")}
        measured = [row for row in of.values() if row is not None]
        for points in dict.fromkeys(["generated", *(name for row in measured for name in row["outputs"])]):
            regular = next((cell for row in measured if (cell := _regular(row, points))), "-")
            cells = [_cell(row, points) for row in of.values()]
            yield f"| {metric} | {points} | {regular} | {' | '.join(cells)} |"


def _regular(row: Row, points: str) -> str:
    if points == "generated":
        return _pair(row["held_out"]["regular"]) if "held_out" in row else ""
    ranks = row["outputs"].get(points, {})
    return _pair(ranks, "regular_") if "regular_spearman" in ranks else ""


def _cell(row: Row | None, points: str) -> str:
    if row is None or "held_out" not in row:
        return "-" if row is None else "failed"
    ranks = row["held_out"]["loss"] if points == "generated" else row["outputs"].get(points)
    if not ranks or ranks.get("failure"):
        return "failed" if ranks else "-"
    return _pair(ranks) + (" †" if row["refused"] else "")


def _pair(ranks: Mapping[str, Any], prefix: str = "") -> str:
    values = (ranks[f"{prefix}{name}"] for name in ("spearman", "kendall"))
    return " / ".join("-" if value is None else f"{100 * value:.1f}" for value in values)
