"""Time everything, side by side, and write docs/measurements/performance.md.

    python -m benchmarks.speed                    # all measures, about an hour
    python -m benchmarks.speed step soft_ranks    # these
    python -m benchmarks.speed --device cuda      # on a GPU
    python -m benchmarks.speed --show             # the page from what has been timed

Rows go to `--results`, a JSON file, in the place of those of the same measure and kind of device. Nothing else should
run on the machine meanwhile.
"""

from __future__ import annotations

import argparse
import datetime
import importlib
import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from autosurrogate.errors import AutosurrogateError
from benchmarks import PAGES
from benchmarks.speed._page import page

RESULTS = Path(__file__).parents[1] / "results" / "speed.json"
NAMES = (
    "step", "time_to", "soft_ranks", "labelling", "trials", "whole_search", "exported", "training_step",
    "start_up", "growth",
)  # fmt: skip


def main() -> None:
    """Time what is named."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.speed", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; all by default")
    parser.add_argument("--device", default="cpu", help="where to compute, such as cuda (cpu)")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--docs", type=Path, default=PAGES, help="folder of the page (docs/measurements/)")
    parser.add_argument("--show", action="store_true", help="time nothing, write the page")
    options = parser.parse_args()
    unknown = sorted(set(options.names) - set(NAMES))
    if unknown:
        parser.error(f"no measure {', '.join(unknown)}; expected {', '.join(NAMES)}")
    measures = {name: importlib.import_module(f"benchmarks.speed.{name}") for name in NAMES}
    for name in () if options.show else options.names or NAMES:
        try:
            rows = [_row(name, asdict(row), options.device) for row in measures[name].measure(options.device)]
        except AutosurrogateError as e:
            parser.error(str(e))
        _replace(options.results, name, options.device, rows)
        print(json.dumps(rows, indent=1), flush=True)
    _write(page(_read(options.results), measures, options.docs), options.docs / "performance.md")


def _row(name: str, row: Mapping[str, Any], device: str) -> dict[str, Any]:
    machine = f"{os.cpu_count()} CPU cores" if device == "cpu" else torch.cuda.get_device_name(device)
    return {
        "measure": name,
        **row,
        "seconds": [float(f"{seconds:.4g}") for seconds in row["seconds"]],
        "device": device,
        "machine": f"{machine}, Python {platform.python_version()}, torch {torch.__version__}",
        "date": datetime.date.today().isoformat(),
    }


def _read(path: Path) -> list[dict[str, Any]]:
    return list(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else []


def _replace(path: Path, name: str, device: str, new: list[dict[str, Any]]) -> None:
    """Replace the rows of a measure in the file, the measures in their order."""
    others = [row for row in _read(path) if (row["measure"], row["device"]) != (name, device)]
    rows = sorted(others + new, key=lambda row: (row["device"], NAMES.index(row["measure"])))
    path.parent.mkdir(parents=True, exist_ok=True)
    _write("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n", path)


def _write(text: str, path: Path) -> None:
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
