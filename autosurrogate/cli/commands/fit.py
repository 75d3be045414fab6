"""`autosurrogate fit`: fits a loss to a metric and exports it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from autosurrogate.cli.loss_summary import print_summary
from autosurrogate.cli.printing import console, shown_path
from autosurrogate.cli.progress import ConsoleProgress
from autosurrogate.errors import OptionError
from autosurrogate.run.progress import Progress

if TYPE_CHECKING:
    from autosurrogate.pipeline.fit_run import FitResult

_NOT_OF_FIT = ("command", "resume", "quiet", "metric")  # options that are not keyword arguments of `fit`


def run(options: argparse.Namespace) -> int:
    """Run the command."""
    arguments = {name: value for name, value in vars(options).items() if value is not None and name not in _NOT_OF_FIT}
    if options.resume is None and options.metric is None:
        raise OptionError("fit: needs --metric SPEC (see `autosurrogate metrics`), or --resume RUN_DIR")
    others = [name for name in (*["metric"] * (options.metric is not None), *arguments) if name != "force"]
    if options.resume is not None and others:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in others)
        raise OptionError(f"fit: --resume takes the options of its run; leave out {names}")

    # Both import torch, which takes seconds: wrong options are refused before.
    from autosurrogate import tasks
    from autosurrogate.pipeline import fitting

    def fit(progress: Progress) -> FitResult:
        if options.resume is not None:
            return fitting.resume(options.resume, force=bool(options.force), progress=progress)
        return fitting.fit(options.metric, **arguments, progress=progress)

    if options.quiet:
        fit(Progress())
        return 0
    with ConsoleProgress(console()) as progress:
        result = fit(progress)
    console().print()
    lines = [("run", f"{shown_path(result.run_dir)}  {result.seconds:.0f} s")]
    lines += [("written despite", shortfall) for shortfall in result.shortfalls]
    print_summary(result.metadata, tasks.get(result.metadata.task).argument_names, result.sizes, lines)
    return 0
