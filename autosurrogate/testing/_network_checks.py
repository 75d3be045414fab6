"""The checks of a network inside its losses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from autosurrogate.examples import Examples
from autosurrogate.points.labelled_set import Chunk
from autosurrogate.surrogates import loss_arguments
from autosurrogate.testing import losses
from autosurrogate.testing._built_losses import BuiltLosses
from autosurrogate.testing._check import Check, ensure
from autosurrogate.testing.generated import Batches, padded
from autosurrogate.testing.losses import Tolerance
from autosurrogate.training.feature_table import tabulate

TOLERANCE = Tolerance(1e-4, 1e-4)  # generated examples may be extreme


class NetworkCase:
    """A network of a task inside its losses, and examples of one view.

    Args:
        built: losses around the network.
        view: one of the task's.
    """

    def __init__(self, built: BuiltLosses, view: str) -> None:
        self._built, self._view = built, view
        self._task = built.task
        self._batches: Callable[..., Iterator[Examples]] = Batches(built.task, built.seed).as_model_outputs
        self._levels = tuple(built.task.views[view])

    def checks(self) -> list[Check]:
        """All checks of the network in this view."""
        prefix = self._built.network + (f", {self._view}: " if len(self._task.views) > 1 else ": ")
        checks = {
            "has features of the shape and the names it declares": self.has_its_shapes,
            "has finite gradients, however extreme the predictions": self.has_finite_gradients,
            "has gradients in the predictions only": self.leaves_targets,
            "does not depend on the order of a set": self.ignores_the_order,
            "does not depend on padding": self.ignores_padding,
            "serves every size with the same parameters": self.serves_every_size,
            "takes targets of any integer dtype": self.takes_integers,
            "trains on the loss that it returns": self.trains_on_its_loss,
            "is the same when scripted": self.is_scriptable,
            "is near to itself in half precision": self.takes_half_precision,
            "has the gradients of its feature table": self.is_tabulated,
        }
        if "sample" in self._levels:
            checks["evaluates an example alone as among others"] = self.evaluates_examples_alone
        return [Check(prefix + name, run) for name, run in checks.items()]

    def _with_sizes(self, *set_sizes: int) -> list[tuple[str, int]]:
        """The levels with their set sizes."""
        return [(level, n) for level in self._levels for n in ((1,) if level == "sample" else set_sizes)]

    def _of(self, loss: Any, examples: Examples) -> Tensor:
        value: Tensor = loss(*loss_arguments(self._task, examples))
        return value

    def _alike(self, expected: Tensor, actual: Tensor, what: str, tolerance: float = 1e-4) -> None:
        expected, actual = expected.detach(), actual.detach()
        difference = float((expected - actual).abs().max())
        limit = tolerance * max(1.0, float(expected.abs().max()))
        ensure(difference <= limit, f"{what}: differs by {difference:.3g}")

    def takes_integers(self) -> None:
        for level in self._levels:
            for examples in self._batches(self._view, 3):
                if not examples.target.is_floating_point():
                    dtypes = (torch.int16, torch.int32, torch.int64)
                    losses.check_target_dtypes(self._built.loss(level), self._task, examples, dtypes)

    def trains_on_its_loss(self) -> None:
        for level, set_size in self._with_sizes(3):
            for examples in self._batches(self._view, set_size, n_batches=2):
                losses.check_points(self._built.loss(level), self._task, examples, set_size, TOLERANCE)

    def is_scriptable(self) -> None:
        for level in self._levels:
            loss, scripted = self._built.loss(level), self._built.scripted(level)
            for examples in self._batches(self._view, 2):
                values, gradients = [], []
                for module in (loss, scripted):
                    preds = examples.preds.float().requires_grad_(True)
                    values.append(self._of(module, examples.with_preds(preds)))
                    gradients.append(torch.autograd.grad(values[-1], preds)[0])
                self._alike(values[0], values[1], "scripted", 1e-5)
                self._alike(gradients[0], gradients[1], "the gradient of the scripted loss", 1e-4)

    def has_its_shapes(self) -> None:
        for level, set_size in self._with_sizes(1, 5):
            loss = self._built.loss(level)
            for examples in self._batches(self._view, set_size):
                features = loss.features(*loss_arguments(self._task, examples), set_size)
                losses.check_feature_names(loss, self._task, examples, set_size)
                ensure(features.isfinite().all(), "features are not finite")
                ensure(loss.points(*loss_arguments(self._task, examples), set_size).shape == (6,), "one loss a point")

    def has_finite_gradients(self) -> None:
        changes: dict[str, Callable[[Tensor], Tensor]] = {
            "as they are": lambda preds: preds,
            "times 10,000": lambda preds: preds * 1e4,
            "all alike": lambda preds: torch.where(preds.isfinite(), torch.zeros_like(preds), preds),
        }
        for level in self._levels:
            for examples in self._batches(self._view, 3):
                for what, change in changes.items():
                    preds = change(examples.preds.float()).requires_grad_(True)
                    (gradient,) = torch.autograd.grad(
                        self._of(self._built.loss(level), examples.with_preds(preds)), preds
                    )
                    ensure(gradient.isfinite().all(), f"predictions {what}: the gradient is not finite")

    def leaves_targets(self) -> None:
        for level in self._levels:
            for examples in self._batches(self._view, 3):
                if not examples.target.is_floating_point():
                    return
                preds = examples.preds.float().requires_grad_(True)
                target = examples.target.clone().requires_grad_(True)
                loss = self._of(self._built.loss(level), Examples(preds, target, examples.extras))
                (gradient,) = torch.autograd.grad(loss, target, allow_unused=True)
                ensure(gradient is None, "the target has a gradient")

    def ignores_the_order(self) -> None:
        for level in self._levels:
            for examples in self._batches(self._view, 5):
                reversed_examples = examples[torch.arange(len(examples)).flip(0)]
                self._alike(
                    self._of(self._built.loss(level), examples),
                    self._of(self._built.loss(level), reversed_examples),
                    level,
                )

    def evaluates_examples_alone(self) -> None:
        loss = self._built.loss("sample")
        for examples in self._batches(self._view):
            each = loss.per_sample(*loss_arguments(self._task, examples))
            ensure(each.shape == (len(examples),), f"per_sample has shape {tuple(each.shape)} for {len(examples)}")
            self._alike(each.mean(), self._of(loss, examples), "the mean of per_sample")
            for i in range(len(examples)):
                alone = loss.per_sample(*loss_arguments(self._task, examples[slice(i, i + 1)]))
                self._alike(each[i : i + 1], alone, "an example alone")

    def ignores_padding(self) -> None:
        for level in self._levels:
            for examples in self._batches(self._view, 3):
                plain = self._of(self._built.loss(level), examples)
                self._alike(plain, self._of(self._built.loss(level), padded(self._task, examples)), f"level {level!r}")

    def serves_every_size(self) -> None:
        for level in self._levels:
            loss = self._built.loss(level)
            for n_points in (1, 2, 33):
                for examples in self._batches(self._view, 1, n_points):
                    ensure(self._of(loss, examples).isfinite(), f"a batch of {n_points}: the loss is not finite")

    def takes_half_precision(self) -> None:
        for level in self._levels:
            for examples in self._batches(self._view, 2):
                low = examples.with_preds(examples.preds.to(torch.bfloat16))
                same = low.with_preds(low.preds.float())
                expected = self._of(self._built.loss(level), same)
                self._alike(expected, self._of(self._built.loss(level), low), "bfloat16")
                with torch.autocast("cpu", torch.bfloat16):
                    self._alike(expected, self._of(self._built.loss(level), same), "under autocast")

    def is_tabulated(self) -> None:
        for level, set_size in self._with_sizes(3):
            loss = self._built.loss(level)
            for examples in self._batches(self._view, set_size, n_batches=2):
                points = Chunk(examples, set_size, torch.arange(6.0, dtype=torch.float64), None)
                (table,) = tabulate(loss, self._task, [points], torch.device("cpu"))
                features = table.features.requires_grad_(True)
                scores = loss.network.score(features.flatten(0, 1), features.shape[1])
                (v,) = torch.autograd.grad(scores.sum(), features)
                norms = torch.einsum("pra,prab,prb->p", v, table.gram, v).clamp_min(0).sqrt()
                preds = examples.preds.float().requires_grad_(True)
                of_points = loss.points(*loss_arguments(self._task, examples.with_preds(preds)), set_size)
                self._alike(of_points.detach(), scores.detach(), "the losses of the table")
                (gradient,) = torch.autograd.grad(of_points.sum(), preds)
                expected = (gradient * self._task.unit(examples)).reshape(6, -1).norm(dim=1)
                self._alike(expected, norms, "the norms of gradients", 1e-3)
