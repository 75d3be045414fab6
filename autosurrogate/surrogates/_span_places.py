"""A network for any metric of where a span starts and ends."""

import torch
from torch import Tensor, nn

from autosurrogate.surrogates._heads import build_head
from autosurrogate.surrogates._layers import within
from autosurrogate.surrogates._span_distributions import (
    cumsum_from_end,
    not_masked,
    relative_to_spread,
    weights_of_ends,
)

BOUNDS = (0.5, 1.5, 2.5, 5.5)  # of errors, in positions
OVERLAPS = (0.3, 0.5, 0.7, 0.9)  # of intersection over union
LENGTHS = (1.25, 2.0)  # of the predicted span, in lengths of the target
LIMIT = 20.0  # positions beyond which an error counts no more
ENDS = ("start", "end")
QUALITIES = [
    *(f"{name} of {end}" for name in ("error", "log error", "capped error", "expected error") for end in ENDS),
    *(f"{end} {side}" for side in ("late", "early") for end in ENDS),
    *(f"{end} by length" for end in ENDS), *(f"{end} right" for end in ENDS),
    *(f"both within {b:g}" for b in BOUNDS),
    "overlap", "f1", "recall", "precision", "overlap of hull", *(f"overlap above {b:g}" for b in OVERLAPS),
    "touching", "inside", "contains", *(f"contains, at most {b:g} long" for b in LENGTHS),
    "centre", "length",
]  # fmt: skip
CONTEXT = ["signed error of start", "signed error of end", "log length", "log ratio of lengths"]
OF_SET = ["log length of target", "1 / length of target", "log positions", "place of target"]


class Places(nn.Module):
    """The start and the end, softly, and all that a metric may compute of them and the target's.

    A span's probability is the product of the softmax of start and end, normalised over all spans with start <= end.
    The means of the start and of the end under it make a span between positions. Of it come errors of both, with their
    sign, in positions and lengths of the target, and shares of the examples within bounds; overlap, in shares and as
    counts of what is above a bound; containment in both directions; lengths.

    Args:
        temperatures: of the softmax, in standard deviations of the logits; small ones see the predicted span alone.
        head: "monotone" or "free", see `build_head`.
        width: hidden units.
        n_hidden: hidden layers.
    """

    FEATURE_SETTINGS = ("temperatures",)

    def __init__(self, temperatures: list[float], head: str = "monotone", width: int = 32, n_hidden: int = 2) -> None:
        super().__init__()
        self.temperatures = [float(t) for t in temperatures]
        self.bounds, self.overlaps, self.lengths = list(BOUNDS), list(OVERLAPS), list(LENGTHS)
        n_qualities = len(QUALITIES) * len(temperatures)
        n_context = len(CONTEXT) * len(temperatures) + len(OF_SET)
        self.layers = build_head(head, n_qualities, n_context, width, n_hidden)

    def n_rows(self, set_size: int) -> int:
        """Rows of `features` for each point."""
        return 1

    def feature_names(self) -> list[str]:
        """A name for each column of `features`."""
        names = [f"{name} at {t:g}" for kind in (QUALITIES, CONTEXT) for t in self.temperatures for name in kind]
        return names + OF_SET

    def features(self, logits: Tensor, target: Tensor, set_size: int) -> Tensor:
        """Shape (n // set_size, n_features)."""
        below, valid = relative_to_spread(logits), not_masked(logits).amax(1)
        true = target.to(logits.dtype)
        qualities: list[Tensor] = []
        context: list[Tensor] = []
        for temperature in self.temperatures:
            of_spans = self._of_spans(below / temperature, true, set_size)
            qualities.append(of_spans[0])
            context.append(of_spans[1])
        length, n_positions = true[:, 1] - true[:, 0] + 1, valid.sum(1).clamp_min(1)
        before = (valid.cumsum(1).gather(1, target[:, :1]).squeeze(1) - 1) / n_positions
        of_set = torch.stack([length.log(), 1 / length, n_positions.log(), before], 1)
        return torch.cat(qualities + context + [_mean(of_set, set_size)], 1)

    def _of_spans(self, logits: Tensor, true: Tensor, set_size: int, limit: float = LIMIT) -> tuple[Tensor, Tensor]:
        """The qualities and the context at one temperature, for each point."""
        weights = weights_of_ends(logits)
        products = torch.stack(
            [weights[:, 0] * cumsum_from_end(weights[:, 1]), weights[:, 1] * weights[:, 0].cumsum(1)], 1
        )
        probability = products / products.sum(2, keepdim=True)
        position = torch.arange(logits.size(2), dtype=logits.dtype, device=logits.device)
        span = (probability * position).sum(2)  # (n, 2)
        expected = (probability * (position - true.unsqueeze(2)).abs()).sum(2)
        error = span - true
        size = error.abs()
        length, true_length = span[:, 1] - span[:, 0] + 1, true[:, 1] - true[:, 0] + 1
        first, last = torch.maximum(span[:, 0], true[:, 0]), torch.minimum(span[:, 1], true[:, 1])
        common = (last - first + 1).clamp_min(0)
        union = length + true_length - common
        overlap = common / union
        outer = torch.maximum(span[:, 1], true[:, 1]) - torch.minimum(span[:, 0], true[:, 0]) + 1
        right = within(size, 0.5)
        farther = size.amax(1)
        starts_before, ends_behind = torch.sigmoid((0.5 - error[:, 0]) / 0.1), torch.sigmoid((0.5 + error[:, 1]) / 0.1)
        starts_behind, ends_before = torch.sigmoid((0.5 + error[:, 0]) / 0.1), torch.sigmoid((0.5 - error[:, 1]) / 0.1)
        contains = starts_before * ends_behind
        ratio = length.clamp_min(0.1).log() - true_length.log()
        means = _mean(
            torch.cat([size, error.clamp_min(0), (-error).clamp_min(0), size / true_length.unsqueeze(1)], 1), set_size
        )
        logs = -(means + 0.05).log()
        centre = (error.sum(1) / 2).square() + 1e-4
        each = [overlap, 2 * common / (length + true_length), common / true_length, common / length.clamp_min(0.1)]
        each.append((last - first + 1) / outer)
        for bound in self.overlaps:
            each.append(torch.sigmoid((overlap - bound + 1e-3) / 0.03))
        each += [torch.sigmoid((last - first + 0.5) / 0.1), starts_behind * ends_before, contains]
        for bound in self.lengths:
            each.append(contains * torch.sigmoid((bound * true_length + 0.3 - length) / 0.1))
        each += [-centre.sqrt().log1p(), -(ratio.square() + 1e-4).sqrt()]
        both_within = torch.stack([within(farther, bound) for bound in self.bounds], 1)
        log_errors = torch.cat([-size.log1p(), -size.clamp(max=limit) / limit, -expected.log1p()], 1)
        of_examples = _mean(torch.cat([log_errors, right, both_within, torch.stack(each, 1)], 1), set_size)
        qualities = torch.cat([logs[:, :2], of_examples[:, :6], logs[:, 2:], of_examples[:, 6:]], 1)
        signed = torch.stack(
            [torch.asinh(error[:, 0]), torch.asinh(error[:, 1]), length.clamp_min(0.1).log(), ratio], 1
        )
        return qualities, _mean(signed, set_size)

    def score(self, features: Tensor, n_rows: int) -> Tensor:
        """One number for each point, shape (n_points,)."""
        return self.layers(features).squeeze(1)


def _mean(values: Tensor, set_size: int) -> Tensor:
    """Means over the examples of each set: (n, d) to (n // set_size, d)."""
    return values.view(-1, set_size, values.size(1)).mean(1)
