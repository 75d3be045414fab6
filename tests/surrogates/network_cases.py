"""Properties of every network, on the examples of each task's own tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from autosurrogate import surrogates, tasks
from autosurrogate.examples import Examples
from autosurrogate.testing import losses
from autosurrogate.testing.losses import Tolerance

LEVELS = ("sample", "set")
ROUNDING = Tolerance(1e-5, 1e-5)
Arguments = tuple[Tensor | None, ...]

each_level = pytest.mark.parametrize("level", LEVELS)


@dataclass(frozen=True)
class NetworkCase:
    """The networks of a task, and what the properties are checked on.

    Args:
        name: of the task.
        settings: network to its settings.
        examples: the arguments of a loss.
        set_size: of the points that the examples are divided into.
        tolerance: of the losses of points.
        order_tolerance: of the losses of examples in another order.
        target_dtypes: in which the target may come.
        dtype_examples: arguments whose target fits into each of these; None for `examples`.
        smallest: the arguments of the smallest batches of a level.
        one_row: networks with one row of features for each point.
        without_names: networks whose features have no names.
    """

    name: str
    settings: Mapping[str, Mapping[str, Any]]
    examples: Callable[[], Arguments]
    set_size: int
    tolerance: Tolerance = losses.DEFAULT
    order_tolerance: Tolerance = ROUNDING
    target_dtypes: Sequence[torch.dtype] = ()
    dtype_examples: Callable[[], Arguments] | None = None
    smallest: Callable[[str], Sequence[Arguments]] | None = None
    one_row: tuple[str, ...] = ()
    without_names: tuple[str, ...] = ()

    def built(self, network: str, level: str = "set", **changed: Any) -> Any:
        """A loss around the network, always of the same random parameters."""
        with torch.random.fork_rng():
            torch.manual_seed(0)
            settings = {**self.settings[network], **changed}
            loss: Any = surrogates.build(tasks.get(self.name), level, network, **settings)
        loss.calibration.stretch(1.7)
        return loss

    def of(self, examples: Callable[[], Arguments]) -> Examples:
        """The arguments of a loss as examples."""
        preds, target, *extras = (array for array in examples() if array is not None)
        return Examples(preds, target, dict(zip(tasks.get(self.name).extras, extras, strict=True)))

    def mean_of_examples(self, network: str, level: str) -> None:
        if level == "set":
            losses.check_level_set(self.built(network, level))
        else:
            examples = self.of(self.examples)
            losses.check_mean_of_examples(self.built(network, level), tasks.get(self.name), examples)

    def order_of_examples(self, network: str, level: str) -> None:
        examples = self.of(self.examples)
        losses.check_order_of_examples(self.built(network, level), tasks.get(self.name), examples, self.order_tolerance)

    def loss_of_training(self, network: str, level: str) -> None:
        set_size = 1 if level == "sample" else self.set_size
        examples = self.of(self.examples)
        losses.check_points(self.built(network, level), tasks.get(self.name), examples, set_size, self.tolerance)

    def named_features(self, network: str, level: str) -> None:
        loss, set_size = self.built(network, level), 1 if level == "sample" else self.set_size
        losses.check_feature_names(loss, tasks.get(self.name), self.of(self.examples), set_size)
        assert loss.network.feature_names() or network in self.without_names
        assert loss.network.n_rows(self.set_size) == 1 or network not in self.one_row

    def dtypes_of_target(self, network: str, level: str) -> None:
        examples = self.of(self.dtype_examples or self.examples)
        losses.check_target_dtypes(self.built(network, level), tasks.get(self.name), examples, self.target_dtypes)

    def smallest_batches(self, network: str, level: str) -> None:
        assert self.smallest is not None
        for arguments in self.smallest(level):
            losses.finite_gradient(self.built(network, level), *arguments)

    def all_networks(self, network: str, level: str) -> None:
        assert set(self.settings) == set(surrogates.networks(tasks.get(self.name)))

    def test(self) -> Callable[..., None]:
        """A test of each property for each network and level."""
        properties = [self.all_networks, self.mean_of_examples, self.order_of_examples, self.loss_of_training]
        properties += [self.named_features]
        properties += [self.dtypes_of_target] if self.target_dtypes else []
        properties += [self.smallest_batches] if self.smallest else []

        @pytest.mark.parametrize("network", self.settings)
        @each_level
        @pytest.mark.parametrize("holds", properties, ids=lambda holds: holds.__name__)
        def test(network: str, level: str, holds: Callable[[str, str], None]) -> None:
            holds(network, level)

        return test


def losses_of(loss: Any, *arguments: Tensor | None) -> Tensor:
    """The loss of each example, or of the set."""
    each: Tensor = loss.per_sample(*arguments) if hasattr(loss, "per_sample") else loss(*arguments)[None]
    return each


def differs(a: Tensor, b: Tensor) -> bool:
    return bool((a - b).abs().max() > 1e-4)
