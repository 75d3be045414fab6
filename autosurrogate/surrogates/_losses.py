"""The losses around the networks of tasks whose loss is called with preds and target alone.

A task says in its `features` what its networks are given, once for both levels:

    class SetLoss(_losses.SetLoss):
        def features(self, preds, target, set_size): ...

    class SampleLoss(_losses.SampleLoss, SetLoss):
        ...
"""

import torch
from torch import Tensor, nn

from autosurrogate.surrogates._calibration import Calibration


class SetLoss(nn.Module):
    """The loss of a whole batch as one set.

    Args:
        network: one of the task's.
    """

    sign: Tensor

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("sign", torch.ones(()))
        self.calibration = Calibration()

    def features(self, preds: Tensor, target: Tensor, set_size: int) -> Tensor:
        """The network's features of examples of which each `set_size` make a point."""
        return self.network.features(preds, target, set_size)

    def points(self, preds: Tensor, target: Tensor, set_size: int) -> Tensor:
        """The loss of each point, shape (n // set_size,)."""
        features = self.features(preds, target.detach(), set_size)
        return self.calibration(self.network.score(features, self.network.rows(set_size)) * self.sign)

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
