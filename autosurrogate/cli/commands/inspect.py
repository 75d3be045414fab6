"""`autosurrogate inspect`: shows how a loss was fitted and how good it is."""

from __future__ import annotations

import argparse

from autosurrogate.cli.loss_summary import correlation_table, summary_lines
from autosurrogate.cli.printing import console, print_lines
from autosurrogate.export import reader, ready


def run(options: argparse.Namespace) -> int:
    """Run the command."""
    _, metadata = reader.load(ready.resolve(options.loss))
    if options.json:
        print(metadata.to_json())
        return 0
    out = console()
    better = "higher" if metadata.higher_is_better else "lower"
    level = "sample" if metadata.level == "sample" else f"sets of {metadata.set_size}"
    out.print(
        f"{metadata.metric}: {metadata.task}, {level}, {better} is better; created {metadata.created}\n",
        markup=False,
    )
    out.print(correlation_table(metadata))
    out.print()
    versions = ", ".join(f"{name} {version}" for name, version in metadata.versions.items())
    print_lines(out, [*summary_lines(metadata), ("versions", versions)])
    return 0
