"""What every network and every loss offers to the stages that train, evaluate, search and export them."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor, nn

from autosurrogate.surrogates._calibration import Calibration


class Network(Protocol):
    """A network of a task: any `nn.Module` with these methods, all of which `torch.jit.script` must accept.

    Three class attributes are optional. `FEATURE_SETTINGS`: names of the constructor's settings that decide which
    features a network has, see `feature_settings`. `NEEDED_FOR`: the name in `Task.perturbations` of what this network
    is built to see; the search leaves it out for a metric that does not depend on that. `VIEWS`: view to the levels of
    the metrics that this network is built for, see `Task.views`; the search leaves it out for others.
    """

    @property
    def features(self) -> Callable[..., Tensor]:
        """Compute what the metric depends on, without parameters.

        Called with the tensors of a batch (which ones, the task says) and the set size. Returns shape
        (n_points * n_rows, n_features).
        """

    def score(self, features: Tensor, n_rows: int, /) -> Tensor:
        """Map features to one number for each point, with the learned parameters; shape (n_points,)."""

    def n_rows(self, set_size: int, /) -> int:
        """How many rows of `features` belong to one point of so many examples: 1 or `set_size`."""

    def feature_names(self) -> list[str]:
        """A name for each column of `features`; empty where the number of columns depends on the examples' size."""


class Loss(nn.Module):
    """A network as a loss, lower is better: what `build` returns.

    An abstract class and no Protocol: a Protocol cannot promise what `nn.Module` has (`parameters`, `state_dict`,
    `to`, ...) without repeating it.

    A loss is called with the tensors of `loss_arguments` and returns a scalar. `features` and `points` take the same
    tensors and the set size; they return the features of a batch, see `Network`, and the loss of each point, shape
    (n_points,). `per_sample` returns the loss of each example, shape (n,); only losses of level "sample" have it.

    Args:
        network: one of the task's.

    Attributes:
        network: the network.
        sign: 1, or -1 where the network rises as predictions get better; a scalar.
        calibration: maps the network's number to the expected metric.
    """

    sign: Tensor

    if TYPE_CHECKING:  # TorchScript reads a class's annotations, and knows neither Protocols nor Callable
        network: Network
        features: Callable[..., Tensor]
        points: Callable[..., Tensor]
        per_sample: Callable[..., Tensor]

        def __call__(self, *arguments: Tensor | None) -> Tensor: ...

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("sign", torch.ones(()))
        self.calibration = Calibration()

    def from_features(self, features: Tensor, set_size: int) -> Tensor:
        """The loss of each point from its features, shape (n_points,)."""
        return self.calibration(self.network.score(features, self.network.n_rows(set_size)) * self.sign)
