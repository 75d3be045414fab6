"""What an experiment compares: a model, the metrics it is evaluated by, and the losses it is trained with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from autosurrogate import surrogates, tasks
from autosurrogate.examples import Examples
from autosurrogate.registry.lookup import find
from autosurrogate.registry.metric_type import Metric
from studies.models._experiment import Added, Data, Experiment, outputs

Loss = Callable[[Examples], Tensor]
Measure = Callable[[nn.Module, Data, Path], dict[str, float]]


@dataclass(frozen=True)
class Row:
    """One metric that the trained models are evaluated by.

    Args:
        fitted: the metric that the losses of this row are fitted to, as `autosurrogate fit --metric` takes it.
        higher_is_better: of the metric that is measured.
    """

    fitted: str
    higher_is_better: bool = True


@dataclass(frozen=True)
class Rival:
    """A loss made by hand.

    Args:
        source: where it is from.
        loss: scalar, of the model's outputs on a batch; or, if `of_model`, of the model, the batch and its outputs.
        rows: names of the metrics that it was made for; all if empty.
        alone: whether it takes the place of the regular loss; else it is added to it with a weight.
        of_model: whether the loss needs the model itself; it cannot be alone then.
    """

    source: str
    loss: Loss | Added
    rows: tuple[str, ...] = ()
    alone: bool = False
    of_model: bool = False


@dataclass(frozen=True)
class Fit:
    """How a loss is fitted: as `autosurrogate fit --metric` does with its defaults, but for these arguments.

    Args:
        arguments: of the command line.
        space: the search space, as the file `<space>_<task>.toml` of studies/spaces; the task's own by default.
            Tasks without such a file have no loss of this kind.
        settings: that the search space has fixed in place of what it says, as TOML writes them.
        recorded: whether recorded outputs of the experiment's model are fitted on, so that the loss is its alone.
        uniform: whether uniformly random predictions are, too; not where an experiment is `recorded_alone`.
        like: the kind whose file this one shares.
        alone: whether the loss takes the place of the regular loss.
        refitted: whether it is fitted again, on the model's outputs, at the checkpoints of a training; with the weight
            that is best for the kind that it is `like`.
        guard: of `_guards.GUARDS`, how it is added to the regular loss; with a constant weight by default.
    """

    arguments: tuple[str, ...] = ()
    space: str | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    recorded: bool = False
    uniform: bool = False
    like: str | None = None
    alone: bool = False
    refitted: bool = False
    guard: str | None = None


FITS = MappingProxyType(
    {
        "fitted": Fit(),
        # Its settings are fixed but for the steepness of ranks and at most the size: two trials.
        "paper": Fit(("--force", "--random-share", "0", "--trials", "2"), space="paper", recorded=True, uniform=True),
    }
)


@dataclass(frozen=True)
class Comparison:
    """One experiment.

    Args:
        model: what is trained.
        rows: what is measured, by name.
        measure: the metrics, by the names of `rows`, of a model on a split; the last argument is the folder of the
            real data.
        rivals: losses made by hand, by name.
        pretraining: where the model's training starts; trained once, with the regular loss, if it has one.
        tuning_seeds: with which weights and learning rates are tuned.
        tuning_share: of the steps that a training takes to tune; 1 for whole ones.
        weights: of a loss beside the regular loss, of which one is chosen.
        split: the splits of the data that `load` gives, drawn again for each seed; the same for all seeds by default.
            For tables so small that one test split depends on chance.
        recorded_alone: whether the paper's loss is fitted on recorded outputs alone.
        fits: the fitted losses, by name.
    """

    model: Experiment
    rows: Mapping[str, Row]
    measure: Measure
    rivals: Mapping[str, Rival] = field(default_factory=dict)
    pretraining: Experiment | None = None
    tuning_seeds: tuple[int, ...] = (1000,)
    tuning_share: float = 1.0
    weights: tuple[float, ...] = (0.3, 1.0, 3.0, 10.0)
    split: Callable[[dict[str, Data], int], dict[str, Data]] | None = None
    recorded_alone: bool = False
    fits: Mapping[str, Fit] = field(default_factory=lambda: FITS)

    def only(self, losses: Sequence[str]) -> Comparison:
        """The same with these losses alone, beside the regular one; names that it does not have are ignored."""
        fits = {name: fit for name, fit in self.fits.items() if name in losses}
        return replace(self, fits=fits, rivals={name: loss for name, loss in self.rivals.items() if name in losses})


def by_metrics(
    model: Experiment, specs: tuple[str, ...], rivals: Mapping[str, Rival] = MappingProxyType({}), **more: Any
) -> Comparison:
    """A comparison whose rows are metrics of this program, see `of_metrics`; `more` are other fields of it."""
    rows, measure = of_metrics(model, specs)
    return Comparison(model, rows, measure, rivals, **more)


def of_metrics(model: Experiment, specs: tuple[str, ...]) -> tuple[dict[str, Row], Measure]:
    """The rows of metrics of this program, and how they are measured: over a whole split.

    Args:
        model: the experiment whose outputs they are of.
        specs: the metrics, as `autosurrogate fit --metric` takes them.
    """
    metrics = {spec: find(spec) for spec in specs}

    def measure(trained: nn.Module, data: Data, folder: Path) -> dict[str, float]:
        examples = outputs(model, trained, data)
        return {spec: value(metric, examples) for spec, metric in metrics.items()}

    return {spec: Row(spec, metric.higher_is_better) for spec, metric in metrics.items()}, measure


def value(metric: Metric, examples: Examples) -> float:
    """A metric of a split: all of it as one set, or the mean over its examples."""
    task = tasks.get(metric.task)
    points = task.points(examples.to("cpu"), metric.view, len(examples) if metric.level == "set" else None)
    return float(np.nanmean([metric.function(*point) for point in points]))


def exported(path: Path, task: str, device: str = "cpu") -> Loss:
    """An exported loss on a batch, as a trainer uses it."""
    return of_loss(torch.jit.load(str(path), map_location=device), task)


def added(loss: Loss) -> Added:
    """A loss of outputs alone, as `train` takes it."""
    return lambda model, batch, examples: loss(examples)


def of_loss(loss: Any, task: str) -> Loss:
    """A loss of this program, exported or not, on a batch."""
    kind = tasks.get(task)

    def of(examples: Examples) -> Tensor:
        kind.configure(loss, examples)
        scalar: Tensor = loss(*surrogates.loss_arguments(kind, examples))
        return scalar

    return of
