"""What every task provides."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from autosurrogate.errors import OutputsError
from autosurrogate.examples import Examples


class Task(ABC):
    """One kind of prediction: its shapes, its decoding for a metric, its random generator, its regular loss."""

    name: ClassVar[str]
    #: view -> level -> types of (preds, target) as a metric gets them. The first view is the default.
    views: ClassVar[Mapping[str, Mapping[str, tuple[Any, Any]]]]
    #: Names of preds and target in examples of code that calls the loss.
    argument_names: ClassVar[tuple[str, str]] = ("preds", "target")
    #: Names of the optional arrays that a loss is called with after preds and target, in this order.
    extras: ClassVar[tuple[str, ...]] = ()
    #: Names of the optional arrays that only a metric needs. They are kept in `Examples.extras`, too.
    metric_extras: ClassVar[tuple[str, ...]] = ()
    #: Regimes of models, besides trained ones, that a part of the generated points is of, see `in_regime`.
    regimes: ClassVar[Collection[str]] = ()
    #: Arrays whose examples may differ in size: the padding value, and the axes of one example that are padded.
    padding: ClassVar[Mapping[str, tuple[float, tuple[int, ...]]]] = {}
    #: What a user can do if no network sees a perturbation, by the name of the perturbation, see `perturbations`.
    advice: ClassVar[Mapping[str, str]] = {}
    #: Only of a user's task: its networks by name, see `autosurrogate.surrogates`, and its search space in TOML.
    #: Built-in tasks have files for them.
    networks: ClassVar[Mapping[str, type[nn.Module]]] = {}
    search_space: ClassVar[str] = ""

    @abstractmethod
    def generate(self, severity: Tensor, generator: torch.Generator, set_size: int = 1, view: str = "") -> Examples:
        """Random examples (G_R). All examples of a call have the same size, which is random.

        Args:
            severity: shape (n_points,), in [0, 1]: 0 is nearly always right, 1 nearly always wrong.
            generator: source of all randomness, on the CPU.
            set_size: examples of each point, which share its severity.
            view: the metric's view, where it decides what is generated; "" for the first of `views`.

        Returns:
            n_points * set_size examples, point by point, on the CPU.
        """

    @abstractmethod
    def decode(self, examples: Examples, view: str) -> tuple[Any, Any]:
        """Preds and target as a metric of this view gets them: an item or an array row for each example."""

    def in_regime(self, regime: str, examples: Examples, set_size: int, generator: torch.Generator) -> Examples:
        """Generated examples of a trained model, changed to what a model of another regime gives.

        Args:
            regime: one of `regimes`.
            examples: from `generate`.
            set_size: examples of each point.
            generator: source of all randomness, on the CPU.

        Returns:
            Examples of the same shapes.
        """
        raise NotImplementedError(f"task {self.name!r} has no regime {regime!r}")

    def as_model_output(self, examples: Examples) -> Examples:
        """Generated examples in the shape of a model's outputs, where `generate` makes smaller ones to save time."""
        return examples

    def has_target(self, examples: Examples) -> np.ndarray | None:
        """Which examples have a target, bool (n,); a set-level metric gets only these. None: all have one."""
        return None

    def perturbations(self, examples: Examples, generator: torch.Generator) -> Mapping[str, Examples]:
        """The same examples, changed in ways that a metric may depend on and the task's networks may not see.

        Args:
            examples: on the CPU.
            generator: source of all randomness.

        Returns:
            The changed examples by what was changed, in words that complete "the metric depends on ...".
        """
        return {}

    def traits(self, examples: Examples, set_size: int) -> Mapping[str, Tensor]:
        """Numbers by which points are divided into strata, each of which a loss must order, see `evaluation.strata`.

        Args:
            examples: n_points * set_size of them, point by point, on the CPU.
            set_size: examples of each point.

        Returns:
            Numbers of shape (n_points,) by name, as in "the third with the lowest NAME". Here the sharpness: how far
            the predictions of a point lie from their mean, on the mean.
        """
        preds = examples.preds.float()
        finite = preds.isfinite().float()
        rows = preds.nan_to_num(0.0, 0.0, 0.0).view(-1, set_size * preds[0].numel())
        finite = finite.view_as(rows)
        n = finite.sum(1).clamp_min(1)
        mean = (rows * finite).sum(1, keepdim=True) / n.unsqueeze(1)
        return {"sharpness": ((rows - mean).abs() * finite).sum(1) / n}

    def unit(self, examples: Examples) -> Tensor | float:
        """The size of a typical change of the predictions. Norms of gradients and distances are measured in it.

        Returns:
            1, which suits logits, or a positive tensor that broadcasts to `preds`, without gradient.
        """
        return 1.0

    def configure(self, loss: Any, examples: Examples) -> None:  # noqa: B027, most losses have no such attributes
        """Set the attributes of a loss that depend on the examples, such as the end-of-sequence id."""

    def points(self, examples: Examples, view: str, set_size: int | None) -> list[tuple[Any, Any]]:
        """The arguments of each call of a metric, a pair (preds, target) for each point.

        Args:
            examples: n examples, point by point.
            view: one of `views`.
            set_size: examples of each point; None for a metric of single examples.
        """
        preds, target = self.decode(examples, view)
        if set_size is None:
            return list(zip(preds, target, strict=True))
        has_target = self.has_target(examples)
        starts = range(0, len(examples), set_size)
        if has_target is None:
            return [(preds[i : i + set_size], target[i : i + set_size]) for i in starts]
        return [
            (preds[at][has_target[at]], target[at][has_target[at]]) for at in (slice(i, i + set_size) for i in starts)
        ]

    @abstractmethod
    def regular_loss(self, examples: Examples) -> Tensor:
        """The loss that such models are usually trained with, shape (n,), differentiable in `preds`."""

    @abstractmethod
    def check(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Raise `OutputsError` unless `arrays` (preds, target and extras) have the task's shapes and dtypes."""


def expect_shape(name: str, array: np.ndarray, shape: str, ndim: int) -> None:
    """Raise `OutputsError` unless `array` has `ndim` axes, described by `shape`."""
    if array.ndim != ndim:
        raise OutputsError(f"{name} must have shape {shape}, got {array.shape}")


def expect_dtype(name: str, array: np.ndarray, kind: Any) -> None:
    """Raise `OutputsError` unless the dtype of `array` is a `kind`, such as `numpy.floating`."""
    if not np.issubdtype(array.dtype, kind):
        raise OutputsError(f"{name} must have a dtype of kind {kind.__name__}, got {array.dtype}")
