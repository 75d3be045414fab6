"""What every task provides."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from autosurrogate.errors import OutputsError
from autosurrogate.examples import Examples


class Task(ABC):
    """One kind of prediction: its shapes, its decoding for a metric, its random generator, its regular loss."""

    name: ClassVar[str]
    #: view -> level -> type of (preds, target) as a metric gets them; the first view is the default.
    views: ClassVar[Mapping[str, Mapping[str, tuple[Any, Any]]]]
    #: What a trainer calls preds and target.
    arguments: ClassVar[tuple[str, str]] = ("preds", "target")
    #: Names of the arrays a loss is given after preds and target, in this order, where they are there.
    extras: ClassVar[tuple[str, ...]] = ()
    #: Names of the arrays that a metric needs and no loss is given; they ride with the extras.
    context: ClassVar[tuple[str, ...]] = ()
    #: Arrays whose examples may differ in size: what they are padded with, and along which axes of an example.
    fill: ClassVar[Mapping[str, tuple[float, tuple[int, ...]]]] = {}
    #: What a user can do where no network sees a change, by the name of the change, see `changes`.
    remedies: ClassVar[Mapping[str, str]] = {}
    #: Of a task that is not built in: its networks by name, see `autosurrogate.surrogates`, and the text of its search
    #: space. Built-in ones have files for them.
    networks: ClassVar[Mapping[str, type[nn.Module]]] = {}
    search_space: ClassVar[str] = ""

    @abstractmethod
    def generate(self, severity: Tensor, generator: torch.Generator, set_size: int = 1, view: str = "") -> Examples:
        """Random examples (G_R) of one size each call, the size itself drawn.

        Args:
            severity: shape (n_points,), in [0, 1]: 0 is nearly always right, 1 nearly always wrong.
            generator: source of all randomness, on the CPU.
            set_size: examples a point; the examples of a point share its severity.
            view: the metric's, one of `views`, where that decides what is made; "" for the first.

        Returns:
            n_points * set_size examples, point by point, on the CPU.
        """

    @abstractmethod
    def decode(self, examples: Examples, view: str) -> tuple[Any, Any]:
        """What a metric with that view is given: preds and target, an item (or array row) an example."""

    def whole(self, examples: Examples) -> Examples:
        """Generated examples as a model would give them, where they are made smaller."""
        return examples

    def kept(self, examples: Examples) -> np.ndarray | None:
        """Which examples a metric is given, bool (n,); None means all of them."""
        return None

    def changes(self, examples: Examples, generator: torch.Generator) -> Mapping[str, Examples]:
        """Predictions of the same quality, changed in what a metric may mind and the task's networks may not see.

        Args:
            examples: on the CPU.
            generator: source of all randomness.

        Returns:
            The changed examples, by what was changed, in words that suit "it depends on ...".
        """
        return {}

    def unit(self, examples: Examples) -> Tensor | float:
        """How far a prediction moves to matter; gradients are measured, and predictions moved, in this unit.

        Returns:
            1, as suits logits, or a tensor that broadcasts to `preds`, positive and without gradient.
        """
        return 1.0

    def configure(self, loss: Any, examples: Examples) -> None:  # noqa: B027, most tasks have nothing to say
        """Set the attributes of a loss that say how its arguments are read, where the examples tell it."""

    def points(self, examples: Examples, view: str, set_size: int | None) -> list[tuple[Any, Any]]:
        """The arguments of each call of a metric.

        Args:
            examples: n examples, point by point.
            view: one of `views`.
            set_size: examples a point; None for a metric of single examples.
        """
        preds, target = self.decode(examples, view)
        if set_size is None:
            return list(zip(preds, target, strict=True))
        kept = self.kept(examples)
        starts = range(0, len(examples), set_size)
        if kept is None:
            return [(preds[i : i + set_size], target[i : i + set_size]) for i in starts]
        return [
            (preds[i : i + set_size][kept[i : i + set_size]], target[i : i + set_size][kept[i : i + set_size]])
            for i in starts
        ]

    @abstractmethod
    def regular_loss(self, examples: Examples) -> Tensor:
        """The loss the task is trained with anyway, shape (n,), differentiable in `preds`."""

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
