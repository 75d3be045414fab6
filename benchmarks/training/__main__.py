"""Train models with the regular loss, with exported losses and with losses made by hand, and measure what it gains.

    python -m benchmarks.training                                # all experiments, in order
    python -m benchmarks.training translation_de_en --seeds 5 --jobs 2
    python -m benchmarks.training --scale paper --device cuda    # ResNet-56, and translation models of base size

Losses are fitted as `autosurrogate fit` does with its defaults, and the paper's as the paper did; weights and learning
rates are tuned on the validation split. Each training is appended to `--results` as it ends: a run that was stopped
goes on where it was. `--show` prints the table of what has been measured; `python -m benchmarks` writes it to
docs/results.md.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from benchmarks import rows
from benchmarks.options import check
from benchmarks.training import _losses
from benchmarks.training._comparison import Comparison
from benchmarks.training._page import section
from benchmarks.training._runs import Plan, Results, cached, pretrained
from benchmarks.training._suite import MODULES, SCALES, comparisons, one

RESULTS = Path(__file__).parents[1] / "results" / "training.jsonl"


def main() -> None:
    """Train what has not been trained yet."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.training", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    every = ", ".join(name for scale in SCALES for name in comparisons(scale))
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {every}; all of the scale by default")
    parser.add_argument("--scale", choices=SCALES, default="small", help="paper: models as large as the paper's")
    parser.add_argument("--device", default="cpu", help="where to train, such as cuda (cpu)")
    parser.add_argument("--seeds", type=int, default=5, help="of the final trainings (5)")
    parser.add_argument("--jobs", type=int, default=1, help="trainings at a time (1)")
    parser.add_argument("--budget", default="5m", help="of a fit (5m, the default of `autosurrogate fit`)")
    parser.add_argument("--data", type=Path, default=os.environ.get("AUTOSURROGATE_DATA"), help="folder of real data")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--show", action="store_true", help="print the table of what is measured and train nothing")
    options = parser.parse_args()
    known = comparisons(options.scale)
    if options.show:
        print(section(list(rows.read(options.results)), known))
        return
    check(parser, options.names, known, options.data)
    for name in options.names or known:
        run(name, known[name], options)


def run(name: str, comparison: Comparison, options: argparse.Namespace) -> None:
    """All of one experiment."""
    cached(comparison.model, options.data)
    if comparison.pretraining is not None:
        pretrained(comparison.pretraining, options.data, options.device)
    files = fitted(name, comparison, options)
    digests = {key: _losses.digest(path) for key, path in files.items()}
    n_threads = max(1, (os.cpu_count() or 1) // options.jobs)
    # A process each, so that its largest memory is that of one training; forked from one that has imported everything.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([f"benchmarks.training.{module}" for module in MODULES])
    while True:
        measured = Results([row for row in rows.read(options.results) if row["experiment"] == name])
        wanted = Plan(name, comparison, digests, tuple(range(options.seeds)), measured).wanted()
        if not wanted:
            return
        with ProcessPoolExecutor(options.jobs, mp_context=context, max_tasks_per_child=1) as pool:
            jobs = []
            for wish in wanted:
                file = files.get((wish.arm.name, wish.arm.metric))
                jobs.append(pool.submit(one, wish, options.scale, options.data, file, n_threads, options.device))
            for job in as_completed(jobs):
                row = {**job.result(), "jobs": options.jobs}
                rows.append(options.results, row)
                shown = {k: round(v, 4) for k, v in (row["test"] or row["validation"]).items()}
                arm = " ".join(filter(None, (row["arm"]["name"], row["arm"]["metric"])))
                settings = f"learning rate x {row['factor']:g}, weight {row['weight']:g}, seed {row['seed']}"
                split = "test" if row["final"] else "validation"
                print(f"{name}: {arm}, {settings}, {row['seconds']:.0f} s: {split} {shown}", flush=True)


def fitted(name: str, comparison: Comparison, options: argparse.Namespace) -> Mapping[tuple[str, str], Path]:
    """Files of the fitted losses of an experiment, by kind and metric."""
    found = {}
    for metric in dict.fromkeys(row.fitted for row in comparison.rows.values()):
        for kind in comparison.fits:
            path = _losses.ensure(kind, metric, name, comparison, options.data, options.budget, options.device)
            if path is not None:
                found[kind, metric] = path
    return found


if __name__ == "__main__":
    main()
