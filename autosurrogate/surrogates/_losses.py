"""The losses around a task's networks. A task says once, in `features`, what its networks are given at both levels.

A task whose loss is called with preds and target alone writes

    class SetLoss(_losses.SetLoss):
        def features(self, preds, target, set_size): ...

    class SampleLoss(_losses.SampleLoss, SetLoss):
        ...

and takes `_losses.TargetedSampleLoss` where some examples may have no target. TorchScript has no variable number of
arguments, so a task with a third tensor inherits from `SetLossWithExtra`. It writes `forward` and `per_sample` itself:
their argument is called after the tensor, and users pass it by that name.
"""

import torch
from torch import Tensor

from autosurrogate.surrogates._contracts import Loss


class SetLoss(Loss):
    """The loss of a whole batch as one set."""

    def features(self, preds: Tensor, target: Tensor, set_size: int) -> Tensor:
        """The network's features of examples, `set_size` for each point."""
        return self.network.features(preds, target, set_size)

    def points(self, preds: Tensor, target: Tensor, set_size: int) -> Tensor:
        """The loss of each point, shape (n // set_size,)."""
        return self.from_features(self.features(preds, target.detach(), set_size), set_size)

    def forward(self, preds: Tensor, target: Tensor) -> Tensor:
        """Scalar, lower is better; shapes as the task defines them."""
        return self.points(preds, target, preds.size(0))[0]


class SampleLoss(SetLoss):
    """The mean loss of the examples of a batch."""

    def forward(self, preds: Tensor, target: Tensor) -> Tensor:
        """Scalar, lower is better: the mean of `per_sample`."""
        return self.per_sample(preds, target).mean()

    @torch.jit.export
    def per_sample(self, preds: Tensor, target: Tensor) -> Tensor:
        """The loss of each example, shape (n,)."""
        return self.points(preds, target, 1)


class TargetedSampleLoss(SetLoss):
    """The mean loss of the examples of a batch that have a target."""

    def valid(self, target: Tensor) -> Tensor:
        """Which examples have a target, bool (n,)."""
        raise NotImplementedError

    def forward(self, preds: Tensor, target: Tensor) -> Tensor:
        """Scalar, lower is better: the mean of `per_sample` over the examples that have a target."""
        return self.per_sample(preds, target).sum() / self.valid(target).to(torch.float32).sum().clamp_min(1)

    @torch.jit.export
    def per_sample(self, preds: Tensor, target: Tensor) -> Tensor:
        """The loss of each example, shape (n,); 0 where there is no target."""
        return self.points(preds, target, 1) * self.valid(target)


class SetLossWithExtra(Loss):
    """The loss of a whole batch as one set, of a task whose loss takes a third tensor, or None in its place."""

    def features(self, preds: Tensor, target: Tensor, extra: Tensor | None, set_size: int) -> Tensor:
        """The network's features of examples, `set_size` for each point."""
        raise NotImplementedError

    def points(self, preds: Tensor, target: Tensor, extra: Tensor | None, set_size: int) -> Tensor:
        """The loss of each point, shape (n // set_size,)."""
        return self.from_features(self.features(preds, target.detach(), extra, set_size), set_size)
