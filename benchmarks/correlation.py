"""Does a loss rank as its metric does? Fits losses on generated points and evaluates them on outputs of real models.

    python -m studies.models                      # first: train the models and record their outputs
    python -m benchmarks.correlation                 # the survey: every built-in metric, one seed, 20 s a fit
    python -m benchmarks.correlation --table floors  # the metrics that have a floor: three seeds, 2 minutes a fit

Every fit is a process of the command line, and its figures are appended to `--results` as it ends: a run that was
stopped goes on where it was. `python -m benchmarks` writes docs/measurements/results.md. Nothing is fitted on recorded
outputs, and nothing is chosen by them. They are read from the folder `outputs` of the data folder that the environment
variable AUTOSURROGATE_DATA names, and from where `studies.models` has written them; missing ones are left out.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import torch

from autosurrogate._utils.json_records import to_plain
from autosurrogate.evaluation.shortfalls import shortfalls
from autosurrogate.export.metadata import LossMetadata
from autosurrogate.registry.lookup import find
from autosurrogate.registry.metric_type import Metric
from autosurrogate.registry.store import builtins
from studies.models import OUTPUTS
from studies.pools import cancelling_on_error
from studies.rows import append, read
from studies.spaces import SPACES

RESULTS = Path(__file__).parent / "results" / "correlation.jsonl"

#: task -> recorded outputs to the set size that their sources have rows for; None for the metric's own
OUTPUTS_OF: dict[str, dict[str, int | None]] = {
    "classification": {"fashion_mnist_cnn": None, "fashion_mnist": None, "cifar10": None},
    "sequence": {
        "nat_multi30k_de_en": None,
        "translator_de_en": None,
        "translator_en_de": None,
        "autoregressive_de_en": None,
        "recogniser_ctc": None,
        "recogniser_positions": None,
    },
    "scores": {"phoneme": None, "oil_spill": None, "breast_cancer": None, "haberman": 64},
    "span": {"reader": None},
    "heatmap": {"pose": None},
    "segmentation": {"segmenter": None},
    "detection": {"detector": None},
    "ranking": {"ranker": None},
    "values": {"diabetes": None},
}
NOT_OF = {"scores": "multilabel"}  # task -> view that its outputs do not fit
#: metric -> Spearman's correlation, in per cent, that its loss must reach, and the outputs it is evaluated on
FLOORS: dict[str, tuple[float, str]] = {
    "pck": (95, "pose"),
    "oks_ap": (90, "pose"),
    "span_f1": (95, "reader"),
    "normalized_edit_distance": (95, "recogniser_ctc"),
    "rougeL": (94, "nat_multi30k_de_en"),
    "bleu": (96, "nat_multi30k_de_en"),
    "accuracy": (99.3, "fashion_mnist_cnn"),
    "f1": (95, "phoneme"),
    "average_precision": (93, "phoneme"),
    "roc_auc": (95, "phoneme"),
    "ndcg": (93, "ranker"),
    "miou": (97, "segmenter"),
    "coco_ap": (85, "detector"),
}


@dataclass(frozen=True)
class Setting:
    """One way of fitting.

    Args:
        name: as the tables call it.
        options: further options of `autosurrogate fit`.
        paper_space: whether the space has the paper's network alone; tasks that have no such file are left out.
    """

    name: str
    options: tuple[str, ...] = ()
    paper_space: bool = False


SEARCH = Setting("search")
SETTINGS = (
    SEARCH,
    Setting("approximation", ("--objective", "approximation")),
    Setting("paper's network", (), True),
)


@dataclass(frozen=True)
class Fit:
    """One fit to be measured."""

    setting: Setting
    metric: Metric
    seed: int
    budget: str

    @property
    def key(self) -> tuple[str, str, int, str]:
        """What identifies it in the results."""
        return self.setting.name, self.metric.name, self.seed, self.budget

    @property
    def space(self) -> Path:
        """The search space of the paper's network for its task."""
        return SPACES / f"paper_{self.metric.task}.toml"


def main() -> None:
    """Measure what is not measured yet."""
    names = [m.name for m in builtins()]
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.correlation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--table", choices=("survey", "floors"), default="survey")
    parser.add_argument("--seeds", type=int, nargs="+", help="(0; of the floors 0 1 2)")
    parser.add_argument("--metrics", nargs="+", choices=names, metavar="NAME", help="(all; those that have a floor)")
    parser.add_argument("--budget", help="for each fit (20s; of the floors 2m)")
    parser.add_argument("--jobs", type=int, default=1, help="fits at a time, each on its part of the cores")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    run(list(wanted(options)), options.results, options.jobs)


def wanted(options: argparse.Namespace) -> Iterator[Fit]:
    """The fits of a table that are not measured yet."""
    floors = options.table == "floors"
    names = options.metrics or (list(FLOORS) if floors else [m.name for m in builtins()])
    measured = {(r["setting"], r["metric"], r["seed"], r["budget"]) for r in read(options.results)}
    for seed in options.seeds or ([0, 1, 2] if floors else [0]):
        for metric in map(find, names):
            for setting in (SEARCH,) if floors else SETTINGS:
                fit = Fit(setting, metric, seed, options.budget or ("2m" if floors else "20s"))
                if fit.key not in measured and (not setting.paper_space or fit.space.exists()):
                    yield fit


def run(fits: list[Fit], results: Path, n_jobs: int) -> None:
    """Measure, `n_jobs` at a time, and append each row when its fit ends."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
    free_cores: SimpleQueue[list[int]] = SimpleQueue()
    for k in range(n_jobs):
        free_cores.put(cores[k::n_jobs] or cores)

    def measure_on_some_cores(fit: Fit) -> dict[str, Any]:
        own_cores = free_cores.get()
        try:
            return measure(fit, own_cores)
        finally:
            free_cores.put(own_cores)

    with ThreadPoolExecutor(n_jobs) as pool, cancelling_on_error(pool):
        for job in as_completed([pool.submit(measure_on_some_cores, fit) for fit in fits]):
            row = {**job.result(), "jobs": n_jobs}
            append(results, row)
            shown = {
                name: None if ranks["spearman"] is None else round(100 * ranks["spearman"], 1)
                for name, ranks in row["outputs"].items()
            }
            print(*(row[k] for k in ("setting", "metric", "seed", "budget")), row["refused"], shown, flush=True)


def measure(fit: Fit, cores: list[int]) -> dict[str, Any]:
    """Fit once and evaluate on all recorded outputs of the task."""
    with tempfile.TemporaryDirectory() as folder:
        loss = f"{folder}/loss.pt"
        command = ["fit", "--metric", str(fit.metric.spec), "--budget", fit.budget, "--seed", str(fit.seed), "--force"]
        command += ["--out", loss, "--run-dir", f"{folder}/run", *fit.setting.options]
        command += ["--space", str(fit.space)] if fit.setting.paper_space else []
        failure = _autosurrogate(command, cores)[1]
        row = {
            "setting": fit.setting.name,
            "metric": fit.metric.name,
            "task": fit.metric.task,
            "seed": fit.seed,
            "budget": fit.budget,
            "date": datetime.date.today().isoformat(),
            "machine": f"{os.cpu_count()} CPU cores, Python {platform.python_version()}, torch {torch.__version__}",
        }
        if failure:
            return {**row, "refused": [failure], "outputs": {}}
        metadata = LossMetadata.from_json(_autosurrogate(["inspect", loss, "--json"], cores)[0])
        outputs: dict[str, Any] = {}
        for name, (path, set_size) in _outputs_of(fit.metric).items():
            size = ["--set-size", str(set_size)] if set_size is not None and fit.metric.level == "set" else []
            printed, failure = _autosurrogate(["evaluate", loss, "--outputs", str(path), "--json", *size], cores)
            outputs[name] = {"failure": failure, "spearman": 0.0} if failure else json.loads(printed)
    held_out = metadata.quality.held_out_generated
    return {
        **row,
        "refused": shortfalls(metadata.quality),
        "outputs": outputs,
        "held_out": {"loss": to_plain(held_out.loss), "regular": to_plain(held_out.regular_loss)},
        "descent": to_plain(metadata.quality.descent_check),
        "coverage": metadata.generated_points.coverage,
        "network": to_plain(metadata.network),
        "n_trials": metadata.search.n_complete + metadata.search.n_pruned,
    }


def _outputs_of(metric: Metric) -> dict[str, tuple[Path, int | None]]:
    """Files of recorded outputs of the metric's task, with the set size if it is not the metric's own."""
    if NOT_OF.get(metric.task) == metric.view:
        return {}
    folders = [OUTPUTS] + [Path(d) / "outputs" for d in [os.environ.get("AUTOSURROGATE_DATA")] if d]
    paths = {}
    for name, set_size in OUTPUTS_OF.get(metric.task, {}).items():
        for path in (folder / f"{name}.npz" for folder in folders):
            if path.exists():
                paths[name] = path, set_size
    return paths


def _autosurrogate(arguments: list[str], cores: list[int]) -> tuple[str, str]:
    """What the command line prints, or why it failed, on those cores alone."""
    child = subprocess.Popen(
        [sys.executable, "-m", "autosurrogate", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": str(len(cores))},
    )
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(child.pid, cores)
    out, errors = child.communicate()
    return (out, "") if child.returncode == 0 else ("", errors.strip() or f"exit code {child.returncode}")


if __name__ == "__main__":
    main()
