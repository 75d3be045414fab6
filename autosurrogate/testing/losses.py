"""Checks of a loss on given examples. Each raises `ConformanceError` if the loss does not hold what it names.

`task_checks` runs them on generated examples; call them with your own to test a network on the cases that matter to it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from autosurrogate.examples import Examples
from autosurrogate.surrogates import Loss, loss_arguments
from autosurrogate.tasks import Task
from autosurrogate.testing._check import ensure

DISTINCT = 1e-4  # by which losses of different examples differ, at least


class Tolerance(NamedTuple):
    """How far a value may be from the expected one; by default as `torch.testing.assert_close` has it in float32."""

    absolute: float = 1e-5
    relative: float = 1.3e-6


DEFAULT, EXACT = Tolerance(), Tolerance(0.0, 0.0)


def check_mean_of_examples(
    loss: Loss, task: Task, examples: Examples, tolerance: Tolerance = DEFAULT, *, distinct: bool = True
) -> None:
    """The loss of a batch is the mean of `per_sample` over the examples that have a target, 0 for the others.

    Args:
        loss: of level "sample".
        task: the task.
        examples: some of them have a target.
        tolerance: of the mean.
        distinct: whether the examples must have different losses.
    """
    each = loss.per_sample(*loss_arguments(task, examples)).detach()
    ensure(each.shape == (len(examples),), f"per_sample has shape {tuple(each.shape)} for {len(examples)} examples")
    has_target = torch.from_numpy(_has_target(task, examples))
    _close(loss(*loss_arguments(task, examples)), each[has_target].mean(), "the mean of per_sample", tolerance)
    ensure((each[~has_target] == 0).all(), "an example without a target has a loss")
    spread = float((each[has_target] - each[has_target].mean()).abs().max())
    ensure(not distinct or spread > DISTINCT, "all examples have the same loss")


def check_level_set(loss: Loss) -> None:
    """A loss of level "set" has no `per_sample`."""
    ensure(not hasattr(loss, "per_sample"), "a loss of level 'set' has per_sample")


def check_order_of_examples(loss: Loss, task: Task, examples: Examples, tolerance: Tolerance = DEFAULT) -> None:
    """Another order of the examples gives the same loss, and the same losses of examples in that order."""
    order = torch.randperm(len(examples), generator=torch.Generator().manual_seed(1))
    expected, reordered = (losses(loss, task, one) for one in (examples, examples[order]))
    _close(reordered, expected[order] if hasattr(loss, "per_sample") else expected, "another order", tolerance)


def check_points(loss: Loss, task: Task, examples: Examples, set_size: int, tolerance: Tolerance = DEFAULT) -> None:
    """`points`, which training minimises, gives for each point the loss of its examples alone.

    Args:
        loss: the loss.
        task: the task.
        examples: of several points; those without any target are not compared.
        set_size: examples of each point.
        tolerance: of the losses.
    """
    points = loss.points(*loss_arguments(task, examples), set_size)
    has_target = _has_target(task, examples)
    for i, point in enumerate(points):
        at = slice(i * set_size, (i + 1) * set_size)
        if has_target[at].any():
            _close(point, loss(*loss_arguments(task, examples[at])), f"point {i}", tolerance)


def check_feature_names(loss: Loss, task: Task, examples: Examples, set_size: int) -> None:
    """Features have `n_rows` rows for each point, and a column for each of their names, which are unique."""
    features = loss.features(*loss_arguments(task, examples), set_size)
    names = loss.network.feature_names()
    n_rows = len(examples) // set_size * loss.network.n_rows(set_size)
    ensure(len(features) == n_rows, f"{len(features)} rows of features, expected {n_rows}")
    n_columns = len(names) or features.shape[1]  # without names where the number of columns depends on the examples
    ensure(features.shape == (n_rows, n_columns), f"{features.shape[1]} columns of features with {len(names)} names")
    ensure(len(set(names)) == len(names), f"two features have the same name, of {names}")


def check_target_dtypes(loss: Loss, task: Task, examples: Examples, dtypes: Iterable[torch.dtype]) -> None:
    """The loss is exactly the same for the same target in each of these dtypes."""
    expected = losses(loss, task, examples)
    for dtype in dtypes:
        other = Examples(examples.preds, examples.target.to(dtype), examples.extras)
        _close(losses(loss, task, other), expected, f"target of {dtype}", EXACT)


def check_export_ready(loss: Loss, task: Task, examples: Examples) -> None:
    """A frozen copy has no parameter, and is exactly the same in training mode."""
    names = [name for name, _ in loss.named_parameters()]
    ensure(not names, f"an optimiser would train {names}")
    expected = losses(loss.eval(), task, examples)
    _close(losses(loss.train(), task, examples), expected, "in training mode", EXACT)
    loss.eval()


def finite_gradient(loss: Loss, *arguments: Tensor | None) -> Tensor:
    """The gradient of the loss in its first argument, of that shape.

    Raises:
        ConformanceError: the loss is no scalar, or it or its gradient is not finite, or there is no gradient.
    """
    preds, *others = arguments
    assert preds is not None
    preds = preds.detach().clone().requires_grad_()
    value = loss(preds, *others)
    ensure(value.shape == (), f"the loss has shape {tuple(value.shape)}")
    ensure(value.isfinite(), f"the loss is {float(value.detach())}")
    value.backward()  # type: ignore[no-untyped-call]
    if preds.grad is None:
        ensure(False, "preds have no gradient")
    gradient: Tensor = preds.grad  # type: ignore[assignment]
    ensure(gradient.isfinite().all(), "the gradient is not finite")
    return gradient


def losses(loss: Loss, task: Task, examples: Examples) -> Tensor:
    """The loss of each example, shape (n,), or of the set, shape (1,)."""
    arguments = loss_arguments(task, examples)
    return loss.per_sample(*arguments) if hasattr(loss, "per_sample") else loss(*arguments)[None]


def _has_target(task: Task, examples: Examples) -> np.ndarray:
    has_target = task.has_target(examples)
    return np.ones(len(examples), dtype=bool) if has_target is None else has_target


def _close(actual: Tensor, expected: Tensor, what: str, tolerance: Tolerance) -> None:
    try:
        torch.testing.assert_close(actual.detach(), expected.detach(), atol=tolerance.absolute, rtol=tolerance.relative)
    except AssertionError as error:
        ensure(False, f"{what}: {error}")
