"""Checks that the commands of the studies have in common."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path


def check(parser: argparse.ArgumentParser, names: Iterable[str], known: Iterable[str], data: Path | None) -> None:
    """End the program with a message and exit code 2 if an experiment is unknown or there is no folder of real data.

    Args:
        parser: of the command.
        names: of the experiments that are asked for.
        known: names of those that exist.
        data: the folder of real data.
    """
    unknown = sorted(set(names) - set(known))
    if unknown:
        parser.error(f"no experiment {', '.join(unknown)}; expected {', '.join(known)}")
    if data is None or not data.is_dir():
        parser.error(f"--data {data}: no such folder; pass it, or set AUTOSURROGATE_DATA")
