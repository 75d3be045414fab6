"""A recording: a model on a data set, whose outputs on held-out examples are recorded from the first step on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from autosurrogate.outputs import Recorder
from studies.models._experiment import AtCheckpoint, Experiment, first, outputs, train


@dataclass(frozen=True)
class Recording:
    """What is trained and recorded.

    Args:
        family: recordings of a family have one task and fit the same metrics; the name of the module that lists them.
        data: name of the data set.
        model: name of the model; it ends in `zero_head` where the last layer starts at zero.
        experiment: the training, with its checkpoints.
    """

    family: str
    data: str
    model: str
    experiment: Experiment

    @property
    def name(self) -> str:
        """Unique among all recordings."""
        return f"{self.family}/{self.data}-{self.model}"

    def path(self, folder: Path) -> Path:
        """The file of recorded outputs."""
        return folder / f"{self.name}.npz"

    def shortened(self, n_steps: int, n_recorded: int) -> Recording:
        """The same with fewer steps and fewer recorded examples."""
        shorter = replace(self.experiment, n_steps=n_steps, checkpoints=checkpoints(n_steps), n_recorded=n_recorded)
        return replace(self, experiment=shorter)


def checkpoints(n_steps: int) -> tuple[int, ...]:
    """0, the powers of two below `n_steps`, and `n_steps`.

    >>> checkpoints(20)
    (0, 1, 2, 4, 8, 16, 20)
    """
    return (0, *(1 << k for k in range(n_steps.bit_length()) if 1 << k < n_steps), n_steps)


def combine(
    family: str,
    experiment: Callable[..., Experiment],
    data: Mapping[str, Mapping[str, object]],
    models: Mapping[str, Mapping[str, Callable[[], nn.Module]]],
) -> list[Recording]:
    """A recording for each model of each data set.

    Args:
        family: see `Recording`.
        experiment: called with `build` and the settings of the data set.
        data: name of a data set to the settings of its experiments.
        models: name of a data set to the models by name.
    """
    return [
        Recording(family, name, model, experiment(build=build, **settings))
        for name, settings in data.items()
        for model, build in models[name].items()
    ]


def record(recording: Recording, folder: Path, to: Path, seed: int = 0) -> Path:
    """Train the model and record its outputs on the test split at each checkpoint; the source is the step.

    Args:
        recording: what to train.
        folder: of the real data.
        to: the folder of recorded outputs.
        seed: of everything random in training.

    Returns:
        The file, which replaces the one before.
    """
    experiment = recording.experiment
    data = experiment.load(folder)
    held_out = first(experiment, data["test"])
    path = recording.path(to)
    path.parent.mkdir(parents=True, exist_ok=True)
    with Recorder(path, experiment.task, max_per_source=experiment.n_recorded, overwrite=True) as recorder:

        def add(step: int, model: nn.Module) -> None:
            examples = outputs(experiment, model, held_out)
            recorder(examples.preds, examples.target, source=step, **examples.extras)

        at_checkpoint: AtCheckpoint = add
        train(experiment, data["train"], seed, at_checkpoint=at_checkpoint)
    return path
