"""Schedules and scales that add a loss to the regular loss without tuning its weight."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from autosurrogate.examples import Examples
from studies.models._experiment import Added, Data, Experiment, mean_regular_loss
from studies.training._comparison import Loss

LATE = 0.3  # of the training, without the loss
FADING = 0.5  # of the training, at the end of which the loss is gone


def balanced(loss: Loss, experiment: Experiment) -> Added:
    """The loss, scaled so that its gradient on each batch is as long as the regular loss's."""
    regular = experiment.regular_loss or mean_regular_loss(experiment.task)

    def of(model: nn.Module, batch: Data, examples: Examples) -> Tensor:
        value = loss(examples)
        own, other = (
            torch.autograd.grad(of_batch, examples.preds, retain_graph=True)[0].norm()
            for of_batch in (value, regular(examples))
        )
        return value * (other / own.clamp_min(1e-12))

    return of


def late(loss: Loss, experiment: Experiment) -> Added:
    """The loss after the first `LATE` of the training."""
    return _scheduled(loss, experiment, lambda done: float(done >= LATE))


def fading(loss: Loss, experiment: Experiment) -> Added:
    """The loss, less and less from the beginning on, and none after `FADING` of the training."""
    return _scheduled(loss, experiment, lambda done: max(0.0, 1 - done / FADING))


def _scheduled(loss: Loss, experiment: Experiment, weight: Callable[[float], float]) -> Added:
    step = 0

    def of(model: nn.Module, batch: Data, examples: Examples) -> Tensor:
        nonlocal step
        factor = weight(step / experiment.n_steps)
        step += 1
        return factor * loss(examples) if factor > 0 else examples.preds.new_zeros(())

    return of


GUARDS = {"balanced": balanced, "late": late, "fading": fading}
