"""Random numbers from one generator, as random generators of tasks need them."""

from __future__ import annotations

import math

import torch
from torch import Tensor


class Draw:
    """Draws tensors of any shape, in float32 on the CPU.

    Args:
        generator: source of all randomness.
    """

    def __init__(self, generator: torch.Generator) -> None:
        self.generator = generator

    def uniform(self, *shape: int) -> Tensor:
        """Evenly in [0, 1)."""
        return torch.rand(shape, generator=self.generator)

    def normal(self, *shape: int) -> Tensor:
        """Of mean 0 and standard deviation 1."""
        return torch.randn(shape, generator=self.generator)

    def exponential(self, *shape: int) -> Tensor:
        """Of mean 1, at most 13.8."""
        return -torch.log(self.uniform(*shape).clamp_min(1e-6))

    def log_uniform(self, low: float, high: float, *shape: int) -> Tensor:
        """Between `low` and `high`, evenly by their logarithm."""
        return (math.log(low) + (math.log(high) - math.log(low)) * self.uniform(*shape)).exp()

    def categorical(self, weights: Tensor, *shape: int) -> Tensor:
        """Numbers of entries of `weights`, shape (n,), each with a probability that is proportional to it."""
        drawn = torch.multinomial(weights, math.prod(shape), replacement=True, generator=self.generator)
        return drawn.view(shape)
