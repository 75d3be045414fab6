"""All trainings of an experiment that are still missing, several at a time."""

from __future__ import annotations

import argparse
import multiprocessing
import os
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from studies import rows
from studies.pools import cancelling_on_error
from studies.training import _losses
from studies.training._comparison import Comparison
from studies.training._runs import Plan, Results, cached, start
from studies.training._suite import MODULES, train_one

IMPORTED = ("torch._dynamo", "sklearn.metrics", "scipy.stats", "joblib")  # by a first step and by metrics, in seconds
RESULTS = Path(__file__).parents[1] / "results" / "training.jsonl"


def add_options(parser: argparse.ArgumentParser, n_seeds: int | None = 5) -> None:
    """Add the options of `run` to a command line; without a number of seeds the caller sets it."""
    parser.add_argument("--device", default="cpu", help="where to train, such as cuda (cpu)")
    default_seeds = "as many as a study shows" if n_seeds is None else n_seeds
    parser.add_argument("--seeds", type=int, default=n_seeds, help=f"of the final trainings ({default_seeds})")
    parser.add_argument("--jobs", type=int, default=1, help="trainings at a time (1)")
    parser.add_argument("--budget", default="5m", help="of a fit (5m, the default of `autosurrogate fit`)")
    parser.add_argument("--data", type=Path, default=os.environ.get("AUTOSURROGATE_DATA"), help="folder of real data")
    parser.add_argument("--results", type=Path, default=RESULTS)


def run(name: str, comparison: Comparison, scale: str, options: argparse.Namespace) -> None:
    """Run the missing trainings of one experiment, and append each to the results as it ends.

    Args:
        name: of the experiment.
        comparison: the experiment, or a part of it.
        scale: that it is of.
        options: see `add_options`.
    """
    cached(comparison.model, options.data)
    start(comparison, options.data, options.device)
    files = fitted(name, comparison, options)
    digests = {key: _losses.digest(path) for key, path in files.items()}
    n_threads = max(1, (os.cpu_count() or 1) // options.jobs)
    # A process each, so that its largest memory is that of one training; forked from one that has imported everything.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*IMPORTED, *(f"studies.training.{module}" for module in MODULES)])
    while True:
        measured = Results([row for row in rows.read(options.results) if row["experiment"] == name])
        wanted = Plan(name, comparison, digests, tuple(range(options.seeds)), measured).wanted()
        if not wanted:
            return
        with (
            ProcessPoolExecutor(options.jobs, mp_context=context, max_tasks_per_child=1) as pool,
            cancelling_on_error(pool),
        ):
            jobs = {}
            for wish in wanted:
                file, fit = files.get((wish.arm.name, wish.arm.metric)), comparison.fits.get(wish.arm.name)
                job = pool.submit(train_one, wish, scale, options.data, file, n_threads, options.device, fit)
                jobs[job] = {} if file is None else {"loss": _losses.known(file)}
            for job in as_completed(jobs):
                row = {**job.result(), **jobs[job], "jobs": options.jobs}
                rows.append(options.results, row)
                shown = {k: round(v, 4) for k, v in (row["test"] or row["validation"]).items()}
                arm = " ".join(filter(None, (row["arm"]["name"], row["arm"]["metric"])))
                settings = f"learning rate x {row['factor']:g}, weight {row['weight']:g}, seed {row['seed']}"
                split = "test" if row["final"] else "validation"
                print(f"{name}: {arm}, {settings}, {row['seconds']:.0f} s: {split} {shown}", flush=True)


def fitted(name: str, comparison: Comparison, options: argparse.Namespace) -> Mapping[tuple[str, str], Path]:
    """Files of the fitted losses of an experiment, by kind and metric."""
    files = {}
    for metric in dict.fromkeys(row.fitted for row in comparison.rows.values()):
        for kind in comparison.fits:
            path = _losses.ensure(kind, metric, name, comparison, options.data, options.budget, options.device)
            if path is not None:
                files[kind, metric] = path
    return files
