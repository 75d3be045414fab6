"""Does a loss rank outputs of real models as its metric does? Fits losses on generated points alone and evaluates them.

    python -m benchmarks.ranking                     # the main table: defaults, three seeds, 5 minutes each
    python -m benchmarks.ranking --table paper       # the paper's network and both objectives, a minute each
    python -m benchmarks.ranking --write             # write docs/results.md from what has been measured

Every fit is a real process of the command line, and its figures are appended to `--results` as it ends: a run that was
stopped goes on where it was. Nothing is fitted on the recorded outputs, and nothing is chosen by them. They are read
from the folder `outputs` of the data folder that the environment variable AUTOSURROGATE_DATA names.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "ranking.jsonl"
PAGE = HERE.parent / "docs" / "results.md"
TRANSLATION, FASHION = "nat_multi30k_de_en.npz", "fashion_mnist_cnn.npz"
OUTPUTS = {"bleu": TRANSLATION, "gleu": TRANSLATION, "accuracy": FASHION}
SPECS = {"gleu": str(HERE / "gleu.py") + ":gleu"}
TASKS = {"bleu": "sequence", "gleu": "sequence", "accuracy": "classification"}


@dataclass(frozen=True)
class Setting:
    """One way of fitting.

    Args:
        name: as the tables call it.
        budget: for each fit.
        metrics: the metrics it is measured on.
        options: further options of `autosurrogate fit`.
        paper_space: whether the space has the paper's network alone.
    """

    name: str
    budget: str
    metrics: tuple[str, ...]
    options: tuple[str, ...] = ()
    paper_space: bool = False


TABLES = {
    "main": (Setting("defaults", "5m", ("bleu", "accuracy", "gleu")),),
    "paper": (
        Setting("search, correlation", "1m", ("bleu", "accuracy")),
        Setting("search, approximation", "1m", ("bleu", "accuracy"), ("--objective", "approximation")),
        Setting("paper's network, correlation", "1m", ("bleu", "accuracy"), (), True),
        Setting("paper's network, approximation", "1m", ("bleu", "accuracy"), ("--objective", "approximation"), True),
    ),
}


def main() -> None:
    """Measure what is not measured yet, or write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", choices=tuple(TABLES), default="main")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--metrics", nargs="+", choices=tuple(OUTPUTS), default=list(OUTPUTS))
    parser.add_argument("--jobs", type=int, default=1, help="fits at a time, each with its share of the cores")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--write", action="store_true", help="write docs/results.md and measure nothing")
    options = parser.parse_args()
    if options.write:
        PAGE.write_text(page(list(read(options.results))), encoding="utf-8")
        return
    data = os.environ.get("AUTOSURROGATE_DATA")
    if data is None:
        parser.error("set the environment variable AUTOSURROGATE_DATA to the data folder")
    measured = {(row["setting"], row["budget"], row["metric"], row["seed"]) for row in read(options.results)}
    wanted = [
        (setting, metric, seed)
        for seed in options.seeds
        for setting in TABLES[options.table]
        for metric in setting.metrics
        if metric in options.metrics and (setting.name, setting.budget, metric, seed) not in measured
    ]
    n_threads = max(1, (os.cpu_count() or 1) // options.jobs)
    options.results.parent.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(options.jobs) as pool:
        jobs = [
            pool.submit(measure, setting, metric, seed, Path(data) / "outputs" / OUTPUTS[metric], n_threads)
            for setting, metric, seed in wanted
        ]
        for job in as_completed(jobs):
            row = {**job.result(), "jobs": options.jobs}
            with options.results.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
            print(json.dumps(row), flush=True)


def measure(setting: Setting, metric: str, seed: int, outputs: Path, n_threads: int) -> dict[str, Any]:
    """Fit once and evaluate on recorded outputs."""
    with tempfile.TemporaryDirectory() as folder:
        loss = Path(folder) / "loss.pt"
        space = ("--space", str(HERE / "spaces" / f"paper_{TASKS[metric]}.toml")) if setting.paper_space else ()
        spec = SPECS.get(metric, metric)
        force = ("--force",) if setting.name != "defaults" else ()
        command = ("fit", "--metric", spec, "--budget", setting.budget, "--seed", str(seed), "--out", str(loss))
        command = (*command, "--run-dir", f"{folder}/run", *setting.options, *space, *force)
        _autosurrogate(command, n_threads)
        found = json.loads(_autosurrogate(("evaluate", str(loss), "--outputs", str(outputs), "--json"), n_threads))
        metadata = json.loads(_autosurrogate(("inspect", str(loss), "--json"), n_threads))
    return {
        "setting": setting.name,
        "budget": setting.budget,
        "metric": metric,
        "seed": seed,
        **found,
        "held_out_spearman": metadata["held_out"]["loss"]["spearman"],
        "held_out_regular_spearman": metadata["held_out"]["regular"]["spearman"],
        "gain": metadata["descent"]["gain"],
        "regular_gain": metadata["descent"]["regular_gain"],
        "network": metadata["network"],
        "n_trials": metadata["search"]["n_complete"] + metadata["search"]["n_pruned"],
        "date": datetime.date.today().isoformat(),
        "machine": f"{os.cpu_count()} CPU cores, Python {platform.python_version()}, torch {torch.__version__}",
    }


def read(path: Path) -> Iterator[dict[str, Any]]:
    """The rows measured so far."""
    if path.exists():
        yield from map(json.loads, path.read_text(encoding="utf-8").splitlines())


def page(rows: list[dict[str, Any]]) -> str:
    """docs/results.md."""
    machines = "; ".join(sorted({f"{row['machine']}, {row['jobs']} fits at a time, {row['date']}" for row in rows}))
    lines = [
        "# Results",
        "",
        "Losses fitted on generated points alone, evaluated on recorded outputs of real models: a small",
        "non-autoregressive translation model (1,200 sentences of four checkpoints; `bleu`, `gleu`) and a small",
        "convolutional network on Fashion-MNIST (28,000 images of seven checkpoints, sets of 128, mean of 10 shuffles;",
        "`accuracy`). No fit saw these outputs, and no trial was chosen by them; but they were looked at while the",
        "defaults were settled, so outputs of other models may rank lower. Rank correlations in per cent; positive",
        "means that a lower loss goes with a better metric. The regular loss is cross-entropy. The *gain* is of the",
        "descent check on held-out generated points, in the metric's unit, and beside it the regular loss's.",
        "",
        f"Measured on: {machines}.",
        "",
        "## With defaults",
        "",
        "`python -m benchmarks.ranking`: `autosurrogate fit` with its defaults, then `autosurrogate evaluate`.",
        "",
        *_table(rows, "main"),
        "",
        "## The paper's network, and the two objectives",
        "",
        "`python -m benchmarks.ranking --table paper`: a minute for each fit. The paper's network sees the probability",
        "of the target alone, trained as in the paper (λ = 10, Adam 0.01, diffsort). The approximation objective is",
        "the mean squared error against the metric. Written with `--force`, since some would be refused.",
        "",
        *_means(rows, "paper"),
        "",
        "Each fit:",
        "",
        *_table(rows, "paper"),
        "",
        "This page is written by `python -m benchmarks.ranking --write`.",
        "",
    ]
    return "\n".join(lines)


def _of(rows: list[dict[str, Any]], setting: Setting, metric: str) -> list[dict[str, Any]]:
    """The rows of one setting and metric, by seed."""
    key = (metric, setting.name, setting.budget)
    return sorted((r for r in rows if (r["metric"], r["setting"], r["budget"]) == key), key=lambda r: r["seed"])


def _table(rows: list[dict[str, Any]], table: str) -> list[str]:
    lines = [
        "| metric | setting | seed | Spearman | Kendall | regular Spearman | regular Kendall | gain | trials |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for metric in OUTPUTS:
        for setting in TABLES[table]:
            for row in _of(rows, setting, metric):
                correlations = [
                    f"{100 * row[k]:.1f}" for k in ("spearman", "kendall", "regular_spearman", "regular_kendall")
                ]
                gain = f"{row['gain']:.3g} ({row['regular_gain']:.3g})"
                cells = [metric, setting.name, str(row["seed"]), *correlations, gain, str(row["n_trials"])]
                lines.append(f"| {' | '.join(cells)} |")
    return lines


def _means(rows: list[dict[str, Any]], table: str) -> list[str]:
    lines = ["| metric | setting | mean Spearman | mean Kendall | seeds |", "| --- | --- | --- | --- | --- |"]
    for metric in OUTPUTS:
        for setting in TABLES[table]:
            if found := _of(rows, setting, metric):
                means = [f"{100 * statistics.mean(r[k] for r in found):.1f}" for k in ("spearman", "kendall")]
                lines.append(f"| {metric} | {setting.name} | {' | '.join(means)} | {len(found)} |")
    return lines


def _autosurrogate(arguments: tuple[str, ...], n_threads: int) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "autosurrogate", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": str(n_threads)},
    )
    if done.returncode:
        raise SystemExit(f"autosurrogate {' '.join(arguments)}: exit code {done.returncode}\n{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    main()
