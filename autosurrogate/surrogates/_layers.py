"""Layers that the networks share: scriptable, and exact under autocast."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# A scripted function sees a constant only as the default of an argument.
IGNORE_INDEX = -100
FAR = 1e4


def has_target(target: Tensor, ignore_index: int = IGNORE_INDEX) -> Tensor:
    """Where there is a target, bool."""
    return target.long() != ignore_index  # in uint8, -100 is class 156


def bounded(logits: Tensor, far: float = FAR) -> Tensor:
    """Logits in float32, infinities clamped to ±1e4 so that no gradient is NaN."""
    return F.hardtanh(logits.to(torch.float32), -far, far)  # its backward is one pass, that of clamp is four


def calmed(normalised: Tensor, spread: Tensor) -> Tensor:
    """Numbers divided by their spread, with the gradient of numbers that are spread by 1 where they are closer.

    A feature that depends on the order of logits alone has a gradient that grows without bound as they come closer. In
    an untrained model this loss would then outweigh others far beyond its weight, and keep the logits close.

    Args:
        normalised: the numbers, divided.
        spread: what they were divided by, of a shape that broadcasts.
    """
    fixed = normalised.detach()
    return fixed + spread.detach().clamp(max=1.0) * (normalised - fixed)


def within(size: Tensor, bound: float) -> Tensor:
    """About 1 where a size, 0 or more, is below a bound, and 0 beyond, with a gradient about the bound."""
    return 1 / (1 + (size / bound).clamp(max=10.0).pow(8))


def matmul(a: Tensor, b: Tensor) -> Tensor:
    """`a @ b` in the dtype of `a`, under autocast too.

    A scripted module ignores `torch.autocast(enabled=False)`, so the dtype of the product of two ones shows whether
    autocast is on. It leaves float64 alone, and elementwise products, which serve devices without float64.
    """
    ones = torch.ones((1, 1), dtype=a.dtype, device=a.device)
    if torch.mm(ones, ones).dtype != a.dtype:
        if a.device.type == "mps":
            return (a.unsqueeze(-1) * b.unsqueeze(-3)).sum(-2)
        return torch.matmul(a.double(), b.double()).to(a.dtype)
    return torch.matmul(a, b)


class Linear(nn.Linear):
    """`nn.Linear` that is exact under autocast, and computes in the dtype of its input."""

    def forward(self, input: Tensor) -> Tensor:
        """Shape (..., in_features) to (..., out_features)."""
        return matmul(input, self.weight.to(input.dtype).t()) + self.bias


class Perceptron(nn.Module):
    """Fully connected layers with ELU between them: smooth, so that the gradient penalty has a second derivative.

    Args:
        n_inputs: size of the last axis of the input.
        width: size of the hidden layers.
        n_hidden: number of hidden layers, at least 1.
        n_outputs: size of the last axis of the output.
    """

    def __init__(self, n_inputs: int, width: int, n_hidden: int, n_outputs: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for i in range(n_hidden):
            layers += [Linear(n_inputs if i == 0 else width, width), nn.ELU()]
        self.layers = nn.Sequential(*layers, Linear(width, n_outputs))

    def forward(self, input: Tensor) -> Tensor:
        """Shape (..., n_inputs) to (..., n_outputs)."""
        output: Tensor = self.layers(input)
        return output


class SelfAttention(nn.Module):
    """A layer of self-attention, and a perceptron behind it.

    Args:
        width: size of the description of a token.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query, self.key, self.value = Linear(width, width), Linear(width, width), Linear(width, width)
        self.forward_layers = Perceptron(width, width, 1, width)
        self.temperature = width**0.5

    def forward(self, hidden: Tensor, valid: Tensor) -> Tensor:
        """Shape (n, n_tokens, width), and 1 for each valid token, else 0, (n, n_tokens, 1)."""
        # Written out: the fused kernels of scaled_dot_product_attention have no second derivative.
        weights = matmul(self.query(hidden), self.key(hidden).transpose(1, 2)) / self.temperature
        weights = (weights - 1e4 * (1 - valid.transpose(1, 2))).softmax(2)
        hidden = hidden + matmul(weights, self.value(hidden))
        return hidden + self.forward_layers(hidden)


def weighted_means(values: Tensor, weight: Tensor, n_rows: int) -> Tensor:
    """Weighted means of each `n_rows` rows: (n, d) and (n,) to (n // n_rows, d)."""
    weights = weight.view(-1, n_rows, 1)
    return (values.view(-1, n_rows, values.size(1)) * weights).sum(1) / weights.sum(1).clamp_min(1)


def mean_of_last(values: Tensor, weight: Tensor) -> Tensor:
    """Weighted means over the last axis; 0 where all weights are."""
    return (values * weight).sum(-1) / (weight.sum(-1) + 1e-6)


def along_first(values: list[float], like: Tensor) -> Tensor:
    """Numbers along the first of four axes, shape (n, 1, 1, 1), on the device of `like` and in its dtype."""
    return torch.tensor(values, dtype=like.dtype, device=like.device).view(-1, 1, 1, 1)
