"""Make the losses that come with the package, each as `autosurrogate fit --metric NAME --trials 64` makes it.

    python -m benchmarks.ready_losses            # all built-in metrics that have none, five minutes each at most
    python -m benchmarks.ready_losses bleu f1    # these, again

They are written to ready_losses/. A loss that `fit` refuses is told and left out.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from autosurrogate import ready
from autosurrogate.errors import QualityError
from autosurrogate.fitting import fit

FOLDER = Path(__file__).parents[1] / "ready_losses"
TRIALS = 64  # a number, so that a loss does not depend on how quick the machine is, where it is quick enough


def main() -> None:
    """Fit what is missing, or what is named."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.ready_losses",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("metrics", nargs="*", metavar="NAME", help="built-in metrics (all without a ready loss)")
    for metric in parser.parse_args().metrics or ready.missing():
        print(make(metric, FOLDER), flush=True)


def make(metric: str, folder: Path) -> str:
    """Fit a loss and put it there; what is there is replaced once there is a new one.

    Returns:
        How it went, in a line.
    """
    with tempfile.TemporaryDirectory() as scratch:
        try:
            result = fit(metric, trials=TRIALS, out=Path(scratch) / "loss.pt", run_dir=Path(scratch) / "run")
        except QualityError as refused:
            return f"{metric}: none, {refused}"
        shutil.copyfile(result.path, folder / f"{metric}{ready.SUFFIX}")
    held_out = result.metadata["held_out"]
    return f"{metric}: {held_out['loss']['spearman']:.3f}, the regular loss {held_out['regular']['spearman']:.3f}"


if __name__ == "__main__":
    main()
