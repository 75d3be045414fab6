"""`autosurrogate export`: writes a ready loss of a built-in metric."""

from __future__ import annotations

import argparse

from autosurrogate import tasks
from autosurrogate.cli.loss_summary import print_summary
from autosurrogate.export import ready


def run(options: argparse.Namespace) -> int:
    """Run the command."""
    path = ready.export(options.metric, options.out, overwrite=options.overwrite)
    metadata = ready.metadata(options.metric)
    print_summary(metadata, tasks.get(metadata.task).argument_names, {str(path): path.stat().st_size})
    return 0
