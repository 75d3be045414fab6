"""A network for metrics of what is aligned in order: edit distances, longest common subsequences, exact matches."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autosurrogate.surrogates._monotone_mlp import MonotoneMLP
from autosurrogate.surrogates._sequence_alignment import best_alignment
from autosurrogate.surrogates._sequence_batch import SequenceBatch
from autosurrogate.surrogates._sequence_margins import sharpest, with_relative_matches
from autosurrogate.surrogates._sequence_match import near_diagonal, softmax_parts

N_LENGTHS = 3  # features of lengths, the last ones


class Align(nn.Module):
    """The soft edit distance and longest common subsequence, and what else decides how much is right in order.

    At each temperature the best alignments of the match matrix are found; features are sums along them. At the sharpest
    they are what the metric counts.

    Args:
        temperatures: of the softmax; small ones see the argmax, large ones reach competitors with their gradient.
        width: hidden units.
        n_hidden: hidden layers.
        relative_temperatures: the same of logits relative to the mean margin of the point's positions, which see the
            order at any scale of the logits.
    """

    FEATURE_SETTINGS = ("temperatures", "relative_temperatures")
    heats: Tensor  # the temperatures, where the logits are
    relative_heats: Tensor
    relative_temperatures: list[float]  # which may be empty

    def __init__(
        self,
        temperatures: list[float],
        width: int = 64,
        n_hidden: int = 2,
        relative_temperatures: Sequence[float] = (),
    ) -> None:
        super().__init__()
        self.temperatures = [float(t) for t in temperatures]
        self.relative_temperatures = [float(t) for t in relative_temperatures]
        self.sharpest = sharpest(self.temperatures, self.relative_temperatures)
        self.register_buffer("heats", torch.tensor(self.temperatures), persistent=False)
        self.register_buffer("relative_heats", torch.tensor(self.relative_temperatures), persistent=False)
        n_context = len(temperatures) + len(relative_temperatures) + N_LENGTHS
        self.layers = MonotoneMLP(len(self.feature_names()) - n_context, n_context, width, n_hidden)

    def n_rows(self, set_size: int) -> int:
        """Rows of `features` for each point: the means over its examples."""
        return 1

    def feature_names(self) -> list[str]:
        """A name for each column of `features`."""
        names = ["similarity", "-edits by reference", "-log edits", "nearly exact", "exact"]
        names += ["common f", "common recall", "common precision"]
        names += ["diagonal", "worst", "recalled", "-all edits by all references"]
        lengths = ["length ratio", "as long", "1 / reference length"]
        seen = [f"at {t:g}" for t in self.temperatures] + [f"relative {t:g}" for t in self.relative_temperatures]
        return [f"{name} {t}" for t in seen for name in names] + [f"written {t}" for t in seen] + lengths

    def features(self, batch: SequenceBatch, set_size: int) -> Tensor:
        """What the metric depends on, shape (n_points, n_features), free of parameters."""
        softmax = softmax_parts(batch.logits, batch.target, self.temperatures, batch.eos_id)
        tokens = batch.ref_mask.to(softmax.reference_logits.dtype)
        ref_length = tokens.sum(1)
        matches = with_relative_matches(
            batch, softmax, self.heats, self.relative_temperatures, self.relative_heats, set_size
        )
        if batch.blank_id >= 0:
            hyp_length = matches.length[:, self.sharpest]  # where a token begins to win it does not jump
            recalled = matches.match.sum(2).clamp(max=1.0)  # a token that several frames write in turn, by all of them
            diagonal, place = near_diagonal(matches.match, matches.mass, 0.0), tokens
        else:
            hyp_length, recalled = batch.hyp_mask.sum(1).to(tokens.dtype), matches.match.amax(2)
            # An exported program does not serve diagonals of length 1.
            diagonal = torch.diagonal(F.pad(matches.match, (0, 2, 0, 2)), 0, 2, 3)
            place = F.pad(tokens, (0, matches.match.size(2) + 2))[:, : diagonal.size(2)]
        saved = (matches.mass.unsqueeze(3) + matches.match) * tokens.unsqueeze(1).unsqueeze(1)
        most = sums_along(saved, matches.match)
        features = _of_alignments(matches.length, most[0], most[1], recalled, diagonal, place, tokens, set_size)
        longer = torch.maximum(hyp_length, ref_length).clamp_min(1)
        lengths = [
            (hyp_length / ref_length.clamp_min(1)).clamp(max=4.0),
            1 - (hyp_length - ref_length).abs() / longer,
            1 / ref_length.clamp_min(1),
        ]
        written = (matches.length / ref_length.clamp_min(1).unsqueeze(1)).clamp(max=4.0)
        context = torch.cat([written, torch.stack(lengths, 1)], 1)
        return torch.cat([features.flatten(1), context.view(-1, set_size, context.size(1)).mean(1)], 1)

    def score(self, features: Tensor, n_rows: int) -> Tensor:
        """One number for each point, shape (n_points,)."""
        return self.layers(features).squeeze(1)


def _of_alignments(
    written: Tensor,
    most_saved: Tensor,
    most_common: Tensor,
    recalled: Tensor,
    diagonal: Tensor,
    place: Tensor,
    tokens: Tensor,
    set_size: int,
) -> Tensor:
    """Features at each of k temperatures, shape (n_points, k, 12).

    Args:
        written: how much is written in all, shape (n, k).
        most_saved: what the best alignment saves of edits, shape (n, k).
        most_common: length of the longest common subsequence, shape (n, k).
        recalled: how much of each token of the reference is written anywhere, shape (n, k, S).
        diagonal: how much is written at its place, shape (n, k, L).
        place: 1 for each place that the reference has, shape (n, L).
        tokens: 1 for each token of the reference, shape (n, S).
        set_size: examples for each point.
    """
    ref_length = tokens.sum(1, keepdim=True)
    edits = (written + ref_length - most_saved).clamp_min(0)
    longer, at_least_one = torch.maximum(written, ref_length).clamp_min(1), ref_length.clamp_min(1)
    as_long = (1 - (written - ref_length).abs()).clamp_min(0)
    of_examples = [
        1 - edits / longer,
        -(edits / at_least_one).clamp(max=4.0),
        -torch.log1p(edits) / 2,
        torch.exp(-edits),
        (1 - edits).clamp_min(0),
        2 * most_common / (written + ref_length).clamp_min(1),
        most_common / at_least_one,
        most_common / written.clamp_min(1),
        diagonal.sum(2) / at_least_one,
        (diagonal + 1 - place.unsqueeze(1)).amin(2) * as_long,
        recalled.sum(2) / at_least_one,
    ]
    features = torch.stack(of_examples, 2)
    features = features.view(-1, set_size, features.size(1), features.size(2)).mean(1)
    of_all = edits.view(-1, set_size, edits.size(1)).sum(1) / ref_length.view(-1, set_size, 1).sum(1).clamp_min(1)
    return torch.cat([features, -of_all.clamp(max=4.0).unsqueeze(2)], 2)


def sums_along(saved: Tensor, match: Tensor) -> Tensor:
    """The sums of both kinds of gains along their own best alignments, values and gradients.

    Args:
        saved: shape (n, k, T, S).
        match: as well.

    Returns:
        Shape (2, n, k): of `saved`, then of `match`.
    """
    gain = torch.stack([saved, match]).flatten(0, 2)
    best, weight = best_alignment(gain)
    best = best + (weight * (gain - gain.detach())).sum(2).sum(1)
    return best.view(2, match.size(0), match.size(1))
