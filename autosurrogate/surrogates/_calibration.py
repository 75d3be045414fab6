"""A rising curve from what a network gives to what the metric is expected to be there."""

import torch
from torch import Tensor, nn

N_KNOTS = 8


class Calibration(nn.Module):
    """A piecewise cubic of given values and slopes at its knots, and straight lines beyond (the identity at first).

    Ranks, which a network is trained by, leave open how fast its loss falls where. Training adds up the losses of many
    examples: then it matters that the loss falls as fast as the metric rises, for what it gains on one example it may
    lose on another.
    """

    knots: Tensor
    values: Tensor
    slopes: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("knots", torch.arange(N_KNOTS, dtype=torch.float32))
        self.register_buffer("values", torch.arange(N_KNOTS, dtype=torch.float32))
        self.register_buffer("slopes", torch.ones(N_KNOTS))

    def forward(self, found: Tensor) -> Tensor:
        """Of each number, the same shape."""
        within = found.clamp(self.knots[0], self.knots[-1])
        segment = torch.bucketize(within.detach(), self.knots[1:-1])
        left, right = self.knots[segment], self.knots[segment + 1]
        length = right - left
        t = (within - left) / length
        low, high = self.values[segment], self.values[segment + 1]
        first, last = self.slopes[segment] * length, self.slopes[segment + 1] * length
        a, b = 2 * (low - high) + first + last, 3 * (high - low) - 2 * first - last
        below, above = (found - self.knots[0]).clamp(max=0.0), (found - self.knots[-1]).clamp(min=0.0)
        return ((a * t + b) * t + first) * t + low + below * self.slopes[0] + above * self.slopes[-1]

    def stretch(self, factor: float) -> None:
        """Make the curve steeper by a factor throughout."""
        self.values.mul_(factor)
        self.slopes.mul_(factor)
