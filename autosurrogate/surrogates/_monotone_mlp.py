"""A perceptron that falls as its inputs rise."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autosurrogate.surrogates._layers import Linear, matmul


class MonotoneMLP(nn.Module):
    """A perceptron that falls as any of its qualities rises, whatever its parameters.

    Where each quality alone is sensible to train for, so is any such combination of them. An unconstrained perceptron
    that ranks as well may add some and subtract others. Half of the hidden units bend upwards and half downwards: with
    weights of one sign, one kind alone makes a convex function (Runje and Shankaranarayana, ICML 2023).

    Args:
        n_qualities: number of inputs with which it falls.
        n_context: number of further inputs, of any effect.
        width: size of the hidden layers, an even number.
        n_hidden: number of hidden layers, at least 1.
        n_outputs: number of outputs; all of them fall.
    """

    def __init__(self, n_qualities: int, n_context: int, width: int, n_hidden: int, n_outputs: int = 1) -> None:
        super().__init__()
        self.n_qualities = n_qualities
        self.context = Linear(n_context, width) if n_context else None
        self.first = _NonNegativeLinear(n_qualities, width)
        self.hidden = nn.ModuleList([_NonNegativeLinear(width, width) for _ in range(n_hidden - 1)])
        self.last = _NonNegativeLinear(width, n_outputs)

    def forward(self, input: Tensor) -> Tensor:
        """Shape (n, n_qualities + n_context) to (n, n_outputs)."""
        hidden = self.first(input[:, : self.n_qualities])
        if self.context is not None:
            hidden = hidden + self.context(input[:, self.n_qualities :])
        for layer in self.hidden:
            hidden = layer(_two_sided_elu(hidden))
        return -self.last(_two_sided_elu(hidden))


class _NonNegativeLinear(nn.Module):
    """A linear layer without negative weights: they are squares."""

    def __init__(self, n_inputs: int, n_outputs: int) -> None:
        super().__init__()
        self.roots = nn.Parameter(torch.randn(n_outputs, n_inputs) / n_inputs**0.5)
        self.bias = nn.Parameter(torch.zeros(n_outputs))

    def forward(self, input: Tensor) -> Tensor:
        return matmul(input, self.roots.square().to(input.dtype).t()) + self.bias


def _two_sided_elu(hidden: Tensor) -> Tensor:
    """ELU(x) of the first half of the units and -ELU(-x) of the second half: shape (n, width)."""
    up, down = hidden.chunk(2, 1)
    return torch.cat([F.elu(up), -F.elu(-down)], 1)
