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
    pieces: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("knots", torch.arange(N_KNOTS, dtype=torch.float32))
        # A row for what is left of the first knot and one for what is right of each: where a polynomial of the distance
        # from there starts, and its coefficients.
        self.register_buffer("pieces", torch.zeros(N_KNOTS + 1, 5))
        self.follow(self.knots, self.knots, torch.ones(N_KNOTS))

    def forward(self, found: Tensor) -> Tensor:
        """Of each number, the same shape."""
        piece = self.pieces[torch.bucketize(found.detach(), self.knots)]
        start, value, slope, square, cube = piece.unbind(-1)
        away = found - start
        return ((cube * away + square) * away + slope) * away + value

    def follow(self, knots: Tensor, values: Tensor, slopes: Tensor) -> None:
        """Take these values and slopes at knots, each of shape (N_KNOTS,)."""
        length, rise = knots.diff(), values.diff()
        first, last = slopes[:-1], slopes[1:]
        square, cube = (
            (3 * rise / length - 2 * first - last) / length,
            (first + last - 2 * rise / length) / length.square(),
        )
        none = torch.zeros_like(knots[:1])
        columns = (knots, values, slopes, torch.cat([square, none]), torch.cat([cube, none]))
        rows = torch.stack(columns, 1)
        before = torch.stack([knots[0], values[0], slopes[0], none[0], none[0]])
        self.knots.copy_(knots)
        self.pieces.copy_(torch.cat([before[None], rows]))

    def stretch(self, factor: float) -> None:
        """Make the curve steeper by a factor throughout."""
        self.pieces[:, 1:].mul_(factor)
