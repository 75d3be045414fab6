"""A rising curve from a network's number to the metric that is expected at it."""

import torch
from torch import Tensor, nn

N_KNOTS = 8


class Calibration(nn.Module):
    """A piecewise cubic of given values and slopes at its knots, and straight lines beyond (the identity at first).

    A network is trained by ranks, which do not determine how fast its loss falls. A training with the loss adds up many
    examples: the loss must then fall as fast as the metric rises, or it may gain on one example less than it gives up
    on another.
    """

    knots: Tensor
    pieces: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("knots", torch.arange(N_KNOTS, dtype=torch.float32))
        # One row left of the first knot and one right of each knot: where the polynomial starts, and its coefficients.
        self.register_buffer("pieces", torch.zeros(N_KNOTS + 1, 5))
        self.follow(self.knots, self.knots, torch.ones(N_KNOTS))

    def forward(self, numbers: Tensor) -> Tensor:
        """The curve at each number, the same shape."""
        piece = self.pieces[torch.bucketize(numbers.detach(), self.knots)]
        start, value, slope, square, cube = piece.unbind(-1)
        distance = numbers - start
        return ((cube * distance + square) * distance + slope) * distance + value

    def follow(self, knots: Tensor, values: Tensor, slopes: Tensor) -> None:
        """Take these values and slopes at knots, each of shape (N_KNOTS,)."""
        length, rise = knots.diff(), values.diff()
        first, last = slopes[:-1], slopes[1:]
        square, cube = (
            (3 * rise / length - 2 * first - last) / length,
            (first + last - 2 * rise / length) / length.square(),
        )
        zero = torch.zeros_like(knots[:1])
        after = torch.stack([knots, values, slopes, torch.cat([square, zero]), torch.cat([cube, zero])], 1)
        before = torch.stack([knots[0], values[0], slopes[0], zero[0], zero[0]])
        self.knots.copy_(knots)
        self.pieces.copy_(torch.cat([before[None], after]))

    def stretch(self, factor: float) -> None:
        """Make the curve steeper by a factor throughout."""
        self.pieces[:, 1:].mul_(factor)
