"""Networks for spans.

Every network is given n examples, `set_size` for each point:

    logits   (n, 2, L), float32, of start and end; -1e4 where masked
    target   (n, 2), int64, first <= last position

No parameter depends on L or n.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autosurrogate.surrogates import _losses
from autosurrogate.surrogates._layers import Linear, SelfAttention, bounded, matmul
from autosurrogate.surrogates._shapes import expect
from autosurrogate.surrogates._span_distributions import cumsum_from_end, relative_to_spread, weights_of_ends
from autosurrogate.surrogates._span_places import Places


class TargetAttention(nn.Module):
    """The paper's network: self-attention over the probabilities of the target's start and end.

    Args:
        width: size of the description of each of the two.
        n_layers: layers of self-attention.
    """

    FEATURE_SETTINGS = ()

    def __init__(self, width: int = 32, n_layers: int = 1) -> None:
        super().__init__()
        self.embed = Linear(1, width)
        self.which = nn.Parameter(0.1 * torch.randn(2, width))
        self.layers = nn.ModuleList([SelfAttention(width) for _ in range(n_layers)])
        self.head = Linear(width, 1)

    def n_rows(self, set_size: int) -> int:
        """Rows of `features` for each point."""
        return set_size

    def feature_names(self) -> list[str]:
        """A name for each column of `features`."""
        return ["start", "end"]

    def features(self, logits: Tensor, target: Tensor, set_size: int) -> Tensor:
        """Shape (n, 2)."""
        return logits.softmax(2).gather(2, target.unsqueeze(2)).squeeze(2)

    def score(self, features: Tensor, n_rows: int) -> Tensor:
        """One number for each point, shape (n // n_rows,)."""
        hidden = self.embed(features.unsqueeze(2)) + self.which
        for layer in self.layers:
            hidden = layer(hidden, torch.ones_like(hidden[:, :, :1]))
        return self.head(hidden.mean(1)).view(-1, n_rows).mean(1)


class Overlap(nn.Module):
    """How the spans that the logits make likely overlap with the target, at several temperatures.

    A span's probability is the product of the softmax of start and end, normalised over all spans with start <= end: a
    small temperature sees the predicted span, large ones reach others with their gradient. The sums over all spans take
    time O(L). From cumulative sums of starts and ends follow the distributions of start and end. A position is inside
    the span with the probability that the start is not behind it, less the probability that the end is before it.

    All features but those of the length grow as predictions get better, and the loss falls with each: no gradient leads
    away from the target in order to fix the order of other points.

    Args:
        temperatures: of the softmax, in standard deviations of the logits, as no metric depends on their scale. Where
            the deviation is less than 1, as in untrained models, the gradient is that of logits whose deviation is 1.
        width: hidden units.
        n_hidden: hidden layers.
    """

    FEATURE_SETTINGS = ("temperatures",)
    PER_TEMPERATURE = ("recall", "precision", "f1", "exact", "start", "end")

    def __init__(self, temperatures: list[float], width: int = 32, n_hidden: int = 2) -> None:
        super().__init__()
        self.temperatures = [float(t) for t in temperatures]
        self.n_qualities = len(self.PER_TEMPERATURE) * len(temperatures)
        self.direct = _PositiveLinear(self.n_qualities, 1)
        self.first = _PositiveLinear(self.n_qualities, width)
        self.given = Linear(2, width)  # of the context; ready losses have their parameters under this name
        self.others = nn.ModuleList([_PositiveLinear(width, width) for _ in range(n_hidden - 1)])
        self.head = _PositiveLinear(width, 1)

    def n_rows(self, set_size: int) -> int:
        """Rows of `features` for each point: the means over its examples."""
        return 1

    def feature_names(self) -> list[str]:
        """A name for each column of `features`."""
        names = [f"{name} at {t:g}" for t in self.temperatures for name in self.PER_TEMPERATURE]
        return [*names, "1 / length", "shortness"]

    def features(self, logits: Tensor, target: Tensor, set_size: int) -> Tensor:
        """Shape (n // set_size, n_features)."""
        below = relative_to_spread(logits)
        features: list[Tensor] = []
        for temperature in self.temperatures:
            features.append(expected_overlaps(below / temperature, target))
        length = (target[:, 1:] - target[:, :1] + 1).to(logits.dtype)
        features += [1 / length, 4 / (3 + length)]
        of_examples = torch.cat(features, 1)
        return of_examples.view(-1, set_size, of_examples.size(1)).mean(1)

    def score(self, features: Tensor, n_rows: int) -> Tensor:
        """One number for each point, shape (n_points,)."""
        qualities = features[:, : self.n_qualities]
        hidden = torch.tanh(self.first(qualities) + self.given(features[:, self.n_qualities :]))
        for layer in self.others:
            hidden = torch.tanh(layer(hidden))
        return -(self.direct(qualities) + self.head(hidden)).squeeze(1)


class _PositiveLinear(nn.Module):
    """A linear layer whose weights are positive."""

    def __init__(self, n_inputs: int, n_outputs: int) -> None:
        super().__init__()
        self.raw = nn.Parameter(torch.randn(n_outputs, n_inputs) - math.log(n_inputs))
        self.bias = nn.Parameter(torch.randn(n_outputs))

    def forward(self, input: Tensor) -> Tensor:
        return matmul(input, F.softplus(self.raw).to(input.dtype).t()) + self.bias


def expected_overlaps(logits: Tensor, target: Tensor) -> Tensor:
    """Expectations over all spans, shape (n, 6): the columns of `Overlap` at one temperature.

    Args:
        logits: divided by the temperature, shape (n, 2, L).
        target: shape (n, 2).
    """
    weights = weights_of_ends(logits)
    start, end, first, last = weights[:, 0], weights[:, 1], target[:, :1], target[:, 1:]
    starts_before, ends_behind = start.cumsum(1), cumsum_from_end(end)
    all_spans = (starts_before * end).sum(1, keepdim=True)
    start_right, end_right = start.gather(1, first), end.gather(1, last)
    right = [
        start_right * end_right,
        start_right * ends_behind.gather(1, first),
        end_right * starts_before.gather(1, last),
    ]

    # The spans that have a position in common with the target: they do not start behind it, nor end before it.
    position = torch.arange(logits.size(2), device=logits.device)
    start, end = start * (position <= last), end * (position >= first)
    starts, ends = start * cumsum_from_end(end), end * start.cumsum(1)
    touching = starts.sum(1, keepdim=True)
    divisor = touching.clamp_min(1e-18)  # scripted code divides by its square, which is not to be 0
    inside = (starts.cumsum(1) - ends.cumsum(1) + ends) / divisor
    common = (inside * ((position >= first) & (position <= last))).sum(1, keepdim=True)
    length = inside.sum(1, keepdim=True).clamp_min(1)
    target_length = (last - first + 1).to(logits.dtype)
    fractions = [common / target_length, common / length, 2 * common / (length + target_length)]
    return torch.cat([torch.cat(fractions, 1) * touching, torch.cat(right, 1)], 1) / all_spans


NETWORKS = {"overlap": Overlap, "target_attention": TargetAttention, "places": Places}


class SetLoss(_losses.SetLoss):
    """The loss of a whole batch as one set: start and end logits (n, 2, L) and positions (n, 2)."""

    def features(self, preds: Tensor, target: Tensor, set_size: int) -> Tensor:
        """The network's features of examples, `set_size` for each point."""
        fits = preds.dim() == 3 and target.dim() == 2 and preds.shape[:2] == target.shape and preds.size(1) == 2
        expect(fits, preds, target, "start and end logits (n, 2, L) and positions (n, 2)")
        spans = target.long().clamp(0, preds.size(2) - 1).sort(1)[0]
        return self.network.features(bounded(preds), spans, set_size)


class SampleLoss(_losses.SampleLoss, SetLoss):
    """The mean loss of the examples of a batch."""
