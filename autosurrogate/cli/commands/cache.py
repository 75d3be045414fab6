"""`autosurrogate cache`: shows or clears the cache of labelled points."""

from __future__ import annotations

import argparse

from autosurrogate.points import label_cache


def run(options: argparse.Namespace) -> int:
    """Run the command."""
    folder = label_cache.folder()
    if folder is None:
        print(f"no labels are kept: {label_cache.VARIABLE} is {label_cache.OFF}")
        return 0
    n_runs, n_bytes = label_cache.size()
    if options.clear:
        label_cache.clear()
    print(f"{'removed' if options.clear else 'kept'}: labels of {n_runs} fits, {n_bytes / 2**20:.1f} MiB, in {folder}")
    return 0
