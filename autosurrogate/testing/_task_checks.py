"""The checks of a task itself."""

from __future__ import annotations

import pickle
from typing import Any, get_origin

import numpy as np
import torch
from torch import Tensor

from autosurrogate import tasks
from autosurrogate.examples import Examples
from autosurrogate.tasks import REGIMES, Task
from autosurrogate.testing._check import Check, ensure
from autosurrogate.testing.generated import Batches, padded

SIZES = (1, 2, 7)  # examples in a set


class TaskCase:
    """A task and batches of its examples.

    Args:
        task: the task.
        seed: of the generated examples.
    """

    def __init__(self, task: Task, seed: int) -> None:
        self.task, self.seed = task, seed
        self.batches = Batches(task, seed)

    def checks(self) -> list[Check]:
        """All checks of a task."""
        return [
            Check("generates as many examples as asked for", self.generates),
            Check("generates the same again", self.generates_the_same),
            Check("passes its own check of recorded outputs", self.passes_its_own_check),
            Check("decodes to the types that it declares", self.decodes),
            Check("decodes padded examples alike", self.decodes_padded_examples_alike),
            Check("perturbs examples into others of the same shapes", self.perturbs),
            Check("generates what models of its regimes give", self.has_regimes),
            Check("has a regular loss that falls with the quality", self.has_a_regular_loss),
            Check("has a positive unit", self.has_a_unit),
        ]

    def generates(self) -> None:
        for view in self.task.views:
            shapes = set()
            for set_size in SIZES:
                for examples in self.batches(view, set_size, n_batches=6):
                    ensure(len(examples) == len(examples.preds) == 6 * set_size, f"{len(examples)} examples")
                    ensure(examples.preds.is_floating_point(), f"preds are {examples.preds.dtype}")
                    known = {*self.task.extras, *self.task.metric_extras}
                    ensure(examples.extras.keys() <= known, f"arrays {sorted(examples.extras)}, known are {known}")
                    for name, array in examples.extras.items():
                        ensure(len(array) == 6 * set_size, f"{name} has {len(array)} rows for {6 * set_size} examples")
                    ensure(not examples.preds.isnan().any(), "preds hold NaN")
                    ensure(not examples.preds.requires_grad, "preds require a gradient")
                    shapes.add((*examples.preds.shape[1:], *examples.target.shape[1:]))
            fixed = examples.preds.ndim == 1 or tasks.is_user_task(self.task.name)  # which may be of one size
            ensure(fixed or len(shapes) > 1, f"view {view!r}: every batch has the same sizes, {shapes}")

    def generates_the_same(self) -> None:
        for first, again in zip(self.batches("", 3), self.batches("", 3), strict=True):
            ensure(torch.equal(first.preds, again.preds), "preds differ")
            ensure(torch.equal(first.target, again.target), "targets differ")

    def passes_its_own_check(self) -> None:
        for view in self.task.views:
            for examples in self.batches(view):
                self._check(examples)

    def perturbs(self) -> None:
        for view in self.task.views:
            for examples in self.batches(view):
                before = pickle.dumps(examples)
                for what, changed in self.task.perturbations(
                    examples, torch.Generator().manual_seed(self.seed)
                ).items():
                    shapes = changed.preds.shape == examples.preds.shape, changed.target.shape == examples.target.shape
                    ensure(all(shapes), f"{what}: the shapes become {changed.preds.shape}, {changed.target.shape}")
                    ensure(changed.extras.keys() == examples.extras.keys(), f"{what}: other extras")
                    self._check(changed)
                ensure(pickle.dumps(examples) == before, "the examples themselves are changed")

    def has_regimes(self) -> None:
        for regime in self.task.regimes:
            ensure(regime in REGIMES, f"there is no regime {regime!r}: expected one of {', '.join(REGIMES)}")
            for view in self.task.views:
                for examples in self.batches(view, 3):
                    before = pickle.dumps(examples)
                    generator = torch.Generator().manual_seed(self.seed)
                    changed = self.task.in_regime(regime, examples, 3, generator)
                    ensure(pickle.dumps(examples) == before, "the examples themselves are changed")
                    ensure(changed.preds.shape == examples.preds.shape, f"{regime}: the shape of preds changes")
                    ensure(torch.equal(changed.target, examples.target), f"{regime}: the target changes")
                    ensure(not torch.equal(changed.preds, examples.preds), f"{regime}: the preds are the same")
                    self._check(changed)

    def _check(self, examples: Examples) -> None:
        examples = self.task.as_model_output(examples)
        extras = {name: array.numpy() for name, array in examples.extras.items()}
        self.task.check({"preds": examples.preds.numpy(), "target": examples.target.numpy(), **extras})

    def decodes(self) -> None:
        for view, levels in self.task.views.items():
            for level, types in levels.items():
                set_size = 5 if level == "set" else 1
                for examples in self.batches(view, set_size):
                    points = self.task.points(examples, view, 5 if level == "set" else None)
                    ensure(len(points) == 6, f"{len(points)} points of 6")
                    for value, kind in zip(points[0], types, strict=True):
                        expected = get_origin(kind) or kind
                        of_numpy = isinstance(value, np.integer | np.floating) and expected in (int, float)
                        ensure(
                            expected is Any or of_numpy or isinstance(value, expected),
                            f"view {view!r}, level {level!r}: gives {type(value).__name__}, declares {kind}",
                        )

    def decodes_padded_examples_alike(self) -> None:
        for view in self.task.views:
            for examples in self.batches(view):
                plain = self.task.decode(examples, view)
                longer = self.task.decode(padded(self.task, examples), view)
                ensure(repr(plain) == repr(longer), f"view {view!r}: padding changes what a metric is given")

    def has_a_regular_loss(self) -> None:
        for view in self.task.views:
            losses_of: dict[float, list[Tensor]] = {0.0: [], 1.0: []}
            for severity, losses in losses_of.items():
                for examples in self.batches(view, severity=severity, n_points=24):
                    preds = examples.preds.float().requires_grad_(True)
                    each = self.task.regular_loss(examples.with_preds(preds))
                    ensure(each.shape == (len(examples),), f"its shape is {tuple(each.shape)} for {len(examples)}")
                    (gradient,) = torch.autograd.grad(each.sum(), preds)
                    ensure(each.isfinite().all() and gradient.isfinite().all(), "it or its gradient is not finite")
                    losses.append(each.detach())
            best, worst = (float(torch.cat(losses).median()) for losses in losses_of.values())
            ensure(best < worst, f"view {view!r}: median {best:.4g} of the best and {worst:.4g} of the worst examples")

    def has_a_unit(self) -> None:
        for view in self.task.views:
            for examples in self.batches(view):
                unit = torch.as_tensor(self.task.unit(examples))
                ensure(not unit.requires_grad, "it requires a gradient")
                ensure(unit.isfinite().all() and (unit > 0).all(), f"it is {unit.min()} to {unit.max()}")
                ensure(
                    (examples.preds * unit).shape == examples.preds.shape,
                    f"its shape {tuple(unit.shape)} does not fit preds {tuple(examples.preds.shape)}",
                )
