"""Fit the losses that come with the package, each as `autosurrogate fit --metric NAME --trials 64` does.

    python -m benchmarks.ready_losses            # all built-in metrics that have none, five minutes each at most
    python -m benchmarks.ready_losses bleu f1    # these, again
    python -m benchmarks.ready_losses --rewrite  # the same losses, in the current code: nothing is fitted

They are written to ready_losses/. A loss that `fit` refuses is reported and left out.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

import torch
from torch import Tensor

from autosurrogate import surrogates, tasks
from autosurrogate.errors import LossFileError, QualityError
from autosurrogate.evaluation import point_losses
from autosurrogate.export import reader, ready, writer
from autosurrogate.pipeline.fitting import fit
from autosurrogate.ready_losses import N_TRIALS
from autosurrogate.surrogates import loss_arguments

FOLDER = Path(__file__).parents[1] / "ready_losses"
TOLERANCE = 1e-4  # of values and gradients, relative to the largest


def main() -> None:
    """Fit what is missing, or what is named."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.ready_losses",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("metrics", nargs="*", metavar="NAME", help="built-in metrics (all without a ready loss)")
    parser.add_argument("--rewrite", action="store_true", help="write ready losses (all, or NAMEs) in the current code")
    options = parser.parse_args()
    if options.rewrite:
        for metric in options.metrics or ready.names():
            print(rewrite(metric, FOLDER), flush=True)
        return
    for metric in options.metrics or ready.missing():
        print(fit_and_write(metric, FOLDER), flush=True)


def fit_and_write(metric: str, folder: Path) -> str:
    """Fit a loss and write it to a folder; the loss before is replaced once the new one is fitted.

    Returns:
        How it went, in a line.
    """
    with tempfile.TemporaryDirectory() as scratch:
        try:
            result = fit(metric, trials=N_TRIALS, out=Path(scratch) / "loss.pt", run_dir=Path(scratch) / "run")
        except QualityError as refused:
            return f"{metric}: none, {refused}"
        shutil.copyfile(result.path, folder / f"{metric}{ready.SUFFIX}")
    held_out = result.metadata.quality.held_out_generated
    return f"{metric}: {held_out.loss.spearman:.3f}, the regular loss {held_out.regular_loss.spearman:.3f}"


def rewrite(metric: str, folder: Path) -> str:
    """Write a ready loss again, as the current code computes it.

    Returns:
        How it went, in a line.

    Raises:
        LossFileError: the current code has other parameters for it; the file is left as it was.
    """
    path = folder / f"{metric}{ready.SUFFIX}"
    old, metadata = reader.load(path)
    task = tasks.get(metadata.task)
    network = metadata.network
    loss = writer.freeze(surrogates.build(task, metadata.level, network.name, **network.settings))
    parameters = dict(old.named_buffers())
    if parameters.keys() != dict(loss.named_buffers()).keys():
        raise LossFileError(f"{path}: its network has other parameters than in the current code; refit it")
    for name, buffer in loss.named_buffers():
        buffer.copy_(parameters[name])
    batches = []
    for n in (40, 24):
        generator = torch.Generator().manual_seed(n)
        batches.append(task.generate(torch.rand(n, generator=generator), generator))
    with tempfile.TemporaryDirectory() as scratch:
        writer.write(
            loss, metadata, [loss_arguments(task, examples) for examples in batches], Path(scratch) / path.name
        )
        new, _ = reader.load(Path(scratch) / path.name)
        before, after = (point_losses.loss_of_points(each, task) for each in (old, new))
        for examples in batches:
            size = 1 if metadata.level == "sample" else len(examples)
            values = before(examples, size), after(examples, size)
            gradients = point_losses.gradient(before, examples, size), point_losses.gradient(after, examples, size)
            if not (_close(*values) and _close(*gradients)):
                raise LossFileError(f"{path}: the current code computes something else from its parameters; refit it")
        shutil.copyfile(Path(scratch) / path.name, path)
    return f"{metric}: the same in the current code"


def _close(old: Tensor, new: Tensor) -> bool:
    return bool((old - new).abs().max() <= TOLERANCE * old.abs().max())


if __name__ == "__main__":
    main()
