"""Write docs/measurements/user-metrics.md: metrics as users write them, each checked and fitted from a fresh file.

python -m benchmarks.user_metrics
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from benchmarks import PAGES

HERE = Path(__file__).parent
PAGE = PAGES / "user-metrics.md"
BUDGET = "60s"
METRICS = {
    "with_numpy": "A function of arrays, with its task in the decorator.",
    "with_a_loop": "A function of lists, whose type hints say what it evaluates. Loops are fine.",
    "with_a_wrong_hint": "Hints that do not fit the arguments of the function are reported before anything runs.",
    "with_global_state": "A value that depends on earlier calls; each worker has a state of its own. `check` calls "
    "some points again and reports it.",
    "slow": "A bootstrap at each call. The slower the metric, the fewer points in the budget.",
}
HEAD = """# Five metrics as users write them

Each in a fresh file, through `check` and `fit`; what was printed. This page is written by
`python -m benchmarks.user_metrics`: {machine}.
"""


def main() -> None:
    """Run both commands on each file, and write what they print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.user_metrics",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--budget", default=BUDGET, help=f"of a fit ({BUDGET})")
    parser.add_argument("--page", type=Path, default=PAGE, help="file to write (docs/measurements/user-metrics.md)")
    options = parser.parse_args()
    machine = f"{os.cpu_count()} CPU cores, Python {platform.python_version()}, torch {torch.__version__}"
    sections = [section(name, about, options.budget) for name, about in METRICS.items()]
    options.page.write_text(HEAD.format(machine=machine) + "".join(sections), encoding="utf-8")


def section(name: str, about: str, budget: str) -> str:
    """One metric: its file, and what both commands print."""
    source = (HERE / f"{name}.py").read_text(encoding="utf-8")
    text = f"\n## {name.replace('_', ' ').capitalize()}\n\n{about}\n\n```python\n# {name}.py\n{source}```\n"
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / f"{name}.py").write_text(source, encoding="utf-8")
        for arguments in (["check", f"{name}.py"], ["fit", "--metric", f"{name}.py", "--budget", budget]):
            text += f"\n```sh\nautosurrogate {' '.join(arguments)}\n```\n\n```text\n{printed(arguments, folder)}```\n"
    return text


def printed(arguments: list[str], folder: str) -> str:
    """What the program prints, without the lines of its progress, and its exit code where it is not 0."""
    command = [sys.executable, "-m", "autosurrogate", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    text = (done.stdout + done.stderr).replace(f"{os.path.realpath(folder)}/", "").replace(f"{folder}/", "")
    lines = [line.rstrip() for line in text.splitlines() if not re.match(r"labelling  |trial \d+  ", line)]
    code = "" if done.returncode == 0 else f"(exit code {done.returncode})\n"
    return "\n".join(lines).strip("\n") + "\n" + code


if __name__ == "__main__":
    main()
