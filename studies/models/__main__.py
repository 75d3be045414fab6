"""Train the studies' models and record their outputs: `python -m studies.models [NAME…]`."""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil
import time
from pathlib import Path

from studies.models import OUTPUTS
from studies.models import __path__ as folder
from studies.models._experiment import Experiment, record
from studies.options import check


def experiments() -> dict[str, Experiment]:
    """All experiments by name; a file holds those of one model."""
    by_name: dict[str, Experiment] = {}
    for module in sorted(m.name for m in pkgutil.iter_modules(folder) if not m.name.startswith("_")):
        by_name |= importlib.import_module(f"studies.models.{module}").EXPERIMENTS
    return by_name


def main() -> None:
    """Record the outputs that are missing."""
    known = experiments()
    parser = argparse.ArgumentParser(prog="python -m studies.models", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(known)}; all by default")
    parser.add_argument("--data", type=Path, default=os.environ.get("AUTOSURROGATE_DATA"), help="folder of real data")
    parser.add_argument("--to", type=Path, default=OUTPUTS, metavar="DIR", help="where to write (studies/outputs)")
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist")
    options = parser.parse_args()
    check(parser, options.names, known, options.data)
    for name in options.names or known:
        path = options.to / f"{name}.npz"
        if path.exists() and not options.overwrite:
            print(f"{path}: exists")
            continue
        start = time.monotonic()
        record(known[name], options.data, path)
        print(f"{path}: {path.stat().st_size / 2**20:.1f} MiB, {time.monotonic() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
