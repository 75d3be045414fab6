"""Fit a loss to the metrics of one half of the sample, a minute each on one core, and report how each fit ended.

    python -m benchmarks.unseen_metrics --half development
    python -m benchmarks.unseen_metrics --half development --only one_error ribes
    python -m benchmarks.unseen_metrics --half final              # once, at the end
    python -m benchmarks.unseen_metrics --half development --show

Each is `autosurrogate fit --metric FILE:NAME --budget 60s --workers 1 --seed 0` in a process and a folder of its own.
Rows are appended to `--results`; metrics that have a row of the same budget are not fitted again, so that a run goes
on where it stopped. `specs.py` gives the rule of the halves. `python -m benchmarks` writes the tables to
docs/measurements/results.md.
"""

from __future__ import annotations

import argparse
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from autosurrogate import __version__
from benchmarks.fits import fitted
from benchmarks.unseen_metrics.page import RESULTS, row_line, section, summary
from benchmarks.unseen_metrics.specs import HALVES, Spec, of_half
from studies import rows

BUDGET = "60s"


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit what has not been fitted yet."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.unseen_metrics",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--half", choices=HALVES, required=True, help="which metrics")
    parser.add_argument("--only", nargs="+", metavar="NAME", default=[], help="some of them (all)")
    parser.add_argument("--budget", default=BUDGET, help=f"of a fit ({BUDGET})")
    parser.add_argument("--show", action="store_true", help="print the table of what is measured and fit nothing")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    specs = of_half(options.half)
    others = sorted(set(options.only) - {spec.name for spec in specs})
    if others:
        parser.error(f"--only: not in the half {options.half}: {', '.join(others)}")
    measured = [row for row in rows.read(options.results) if row["half"] == options.half]
    if options.show:
        print(section(measured))
        return
    os.environ["OMP_NUM_THREADS"] = "1"  # of the fits: on one core
    done = {(row["metric"], row["budget"]) for row in measured}
    for spec in specs:
        if (options.only and spec.name not in options.only) or (spec.name, options.budget) in done:
            continue
        if not spec.source.is_installed:
            print(f"{spec.name}: left out, {spec.source.library} is not installed", flush=True)
            continue
        row = fitted_row(spec, options.budget)
        rows.append(options.results, row)
        measured.append(row)
        print(row_line(row), flush=True)
    if measured:
        print(summary(measured))


def fitted_row(spec: Spec, budget: str) -> dict[str, Any]:
    """Fit a metric of the sample, and how it ended."""
    file = spec.source.file
    how_it_ended = fitted(f"{file.name}:{spec.name}", budget, "--workers", "1", "--seed", "0", file=file)
    return {
        "metric": spec.name,
        "library": spec.source.library,
        "half": spec.half,
        "processor": processor(),
        "version": version(),
        **how_it_ended,
        "task": spec.task,
    }


def processor() -> str:
    """The processor's name; "" where the system does not say."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def version() -> str:
    """The version of the package, and the commit where this is a clone with git."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--exclude=*"]
    try:
        described = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return __version__
    return f"{__version__} {described}"


if __name__ == "__main__":
    main()
