"""A loss that is refitted while a model is trained with it."""

from __future__ import annotations

import tempfile
from pathlib import Path

from torch import Tensor, nn

from autosurrogate.examples import Examples
from studies.models._experiment import Data, Experiment, first, outputs, write_outputs
from studies.training._comparison import exported
from studies.training._fitting import fit
from studies.training._recording import n_needed, repeat

ARGUMENTS = ("--budget", "20s", "--force")


class Refitted:
    """A fitted loss beside the regular loss, which is refitted on the model's outputs (ReLoss, table 11).

    Args:
        path: of the loss to begin with.
        metric: what it is fitted to.
        experiment: the model.
        data: its training split, of which outputs are recorded.
        device: where the model is trained.
    """

    def __init__(self, path: Path, metric: str, experiment: Experiment, data: Data, device: str) -> None:
        self._metric, self._experiment, self._device = metric, experiment, device
        self._loss = exported(path, experiment.task, device)
        self._data = first(experiment, data)
        self._outputs: dict[int, Examples] = {}

    def __call__(self, model: nn.Module, batch: Data, examples: Examples) -> Tensor:
        """The current loss, scalar."""
        return self._loss(examples)

    def refit(self, step: int, model: nn.Module) -> None:
        """Fit on generated points and on the model's outputs, the current and the earlier ones."""
        self._outputs[step] = outputs(self._experiment, model, self._data)
        with tempfile.TemporaryDirectory() as folder:
            recorded, loss = Path(folder) / "outputs.npz", Path(folder) / "loss.pt"
            write_outputs(recorded, self._outputs)
            repeat(recorded, recorded, n_needed(self._metric))
            fit(self._metric, loss, ("--outputs", str(recorded), *ARGUMENTS))
            self._loss = exported(loss, self._experiment.task, self._device)
