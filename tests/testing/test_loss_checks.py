"""The checks of a loss find what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from autosurrogate import surrogates, tasks
from autosurrogate.examples import Examples
from autosurrogate.export.writer import freeze
from autosurrogate.surrogates.classification import NETWORKS, SampleLoss, SetLoss, TargetProbability
from autosurrogate.testing import ConformanceError, losses

TASK = tasks.get("classification")


def examples() -> Examples:
    """Of which the last has no target."""
    target = torch.arange(12) % 5
    target[-1] = -100
    return Examples(torch.randn(12, 5, generator=torch.Generator().manual_seed(0)), target)


def right(level: str = "sample") -> Any:
    return surrogates.build(TASK, level, "target_probability", width=8, n_hidden=1)


def of(loss: Any) -> Any:
    """The right network inside another loss."""
    return loss(NETWORKS["target_probability"](width=8, n_hidden=1))


def frozen(loss: Any) -> Any:
    return freeze(loss)


class Sums(SampleLoss):
    def forward(self, preds: Tensor, target: Tensor) -> Tensor:
        return self.per_sample(preds, target).sum()


class HasTargetless(SampleLoss):
    def per_sample(self, preds: Tensor, target: Tensor) -> Tensor:
        return super().per_sample(preds, target) + 1

    def forward(self, preds: Tensor, target: Tensor) -> Tensor:
        return self.per_sample(preds, target)[:-1].mean()


class AllAlike(SampleLoss):
    def per_sample(self, preds: Tensor, target: Tensor) -> Tensor:
        return (target != -100).float()


class OneNumber(SampleLoss):
    def per_sample(self, preds: Tensor, target: Tensor) -> Tensor:
        return super().per_sample(preds, target).mean()[None]


class SeesTheOrder(SampleLoss):
    def per_sample(self, preds: Tensor, target: Tensor) -> Tensor:
        return super().per_sample(preds, target) * torch.arange(len(preds))


class TrainsOnAnother(SampleLoss):
    def points(self, preds: Tensor, target: Tensor, set_size: int) -> Tensor:
        points = super().points(preds, target, set_size)
        return points * torch.arange(len(points))


class SeesTheDtype(SampleLoss):
    def per_sample(self, preds: Tensor, target: Tensor) -> Tensor:
        return super().per_sample(preds, target) * target.element_size()


class SeesTraining(SampleLoss):
    def per_sample(self, preds: Tensor, target: Tensor) -> Tensor:
        return super().per_sample(preds, target) * (2 if self.training else 1)


class NotFinite(SampleLoss):
    def forward(self, preds: Tensor, target: Tensor) -> Tensor:
        return (preds * 0).sum() / 0


class InfiniteGradient(SampleLoss):
    def forward(self, preds: Tensor, target: Tensor) -> Tensor:
        return (preds * 0).abs().sqrt().sum()


class NoScalar(SampleLoss):
    def forward(self, preds: Tensor, target: Tensor) -> Tensor:
        return preds.sum(1)


def mean(loss: Any) -> None:
    losses.check_mean_of_examples(loss, TASK, examples())


def order(loss: Any) -> None:
    losses.check_order_of_examples(loss, TASK, examples())


def points(loss: Any) -> None:
    losses.check_points(loss, TASK, examples(), 1)


def dtypes(loss: Any) -> None:
    losses.check_target_dtypes(loss, TASK, examples(), [torch.int16])


def names(loss: Any) -> None:
    losses.check_feature_names(loss, TASK, examples(), 4)


def gradient(loss: Any) -> None:
    losses.finite_gradient(loss, examples().preds, examples().target)


@pytest.mark.parametrize(
    ("check", "wrong", "message"),
    [
        (mean, Sums, "the mean of per_sample"),
        (mean, HasTargetless, "an example without a target has a loss"),
        (mean, AllAlike, "all examples have the same loss"),
        (mean, OneNumber, r"per_sample has shape \(1,\) for 12 examples"),
        (order, SeesTheOrder, "another order"),
        (points, TrainsOnAnother, "point 1"),
        (dtypes, SeesTheDtype, r"target of torch\.int16"),
        (gradient, NotFinite, "the loss is nan"),
        (gradient, InfiniteGradient, "the gradient is not finite"),
        (gradient, NoScalar, r"the loss has shape \(12,\)"),
    ],
)
def test_a_loss_that_is_wrong(check: Callable[[Any], None], wrong: type[Any], message: str) -> None:
    check(right())
    with pytest.raises(ConformanceError, match=message):
        check(of(wrong))


def test_a_loss_of_sets_that_has_per_sample() -> None:
    losses.check_level_set(of(SetLoss))
    with pytest.raises(ConformanceError, match="a loss of level 'set' has per_sample"):
        losses.check_level_set(right())


class TwoNamesAlike(TargetProbability):
    def feature_names(self) -> list[str]:
        return ["probability", "probability"]


class ThreeNames(TargetProbability):
    def feature_names(self) -> list[str]:
        return ["probability", "valid", "another"]


class HalfTheRows(TargetProbability):
    def n_rows(self, set_size: int) -> int:
        return set_size // 2


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (TwoNamesAlike, "two features have the same name"),
        (ThreeNames, "2 columns of features with 3 names"),
        (HalfTheRows, "12 rows of features, expected 6"),
    ],
)
def test_features_that_are_not_as_declared(network: type[Any], message: str) -> None:
    names(right("set"))
    with pytest.raises(ConformanceError, match=message):
        names(SetLoss(network(width=8, n_hidden=1)))


def test_a_loss_that_an_optimiser_would_train_or_that_changes_in_training() -> None:
    losses.check_export_ready(frozen(right()), TASK, examples())
    with pytest.raises(ConformanceError, match="an optimiser would train"):
        losses.check_export_ready(right(), TASK, examples())
    with pytest.raises(ConformanceError, match="in training mode"):
        losses.check_export_ready(frozen(of(SeesTraining)), TASK, examples())
