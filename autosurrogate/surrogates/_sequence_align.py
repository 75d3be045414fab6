"""A network for metrics of what is aligned in order: edit distances, longest common subsequences, exact matches."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autosurrogate.surrogates._monotone_mlp import MonotoneMLP
from autosurrogate.surrogates._sequence_alignment import best_alignment
from autosurrogate.surrogates._sequence_match import frame_matches, near_diagonal, soft_matches, softmax_parts

N_LENGTHS = 3  # of the columns, at the end


class Align(nn.Module):
    """The soft edit distance and longest common subsequence, and what else decides how much is right in order.

    At each temperature the best alignments of the match matrix are found; features are sums along them. At the sharpest
    they are what the metric counts.

    Args:
        temperatures: of the softmax; small ones see the argmax, large ones reach competitors with their gradient.
        width: hidden units.
        n_hidden: hidden layers.
    """

    FEATURE_SETTINGS = ("temperatures",)
    heats: Tensor  # the temperatures, where the logits are

    def __init__(self, temperatures: list[float], width: int = 64, n_hidden: int = 2) -> None:
        super().__init__()
        self.temperatures = [float(t) for t in temperatures]
        self.sharpest = min(range(len(self.temperatures)), key=self.temperatures.__getitem__)
        self.register_buffer("heats", torch.tensor(self.temperatures), persistent=False)
        n_context = len(temperatures) + N_LENGTHS
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
        of_temperatures = [f"{name} at {t:g}" for t in self.temperatures for name in names]
        return of_temperatures + [f"written at {t:g}" for t in self.temperatures] + lengths

    def features(
        self,
        logits: Tensor,
        there: Tensor,
        keep: Tensor,
        target: Tensor,
        real: Tensor,
        eos_id: int,
        blank_id: int,
        set_size: int,
    ) -> Tensor:
        """What the metric depends on, shape (n_points, n_features), free of parameters."""
        of_reference, of_end, normalisers = softmax_parts(logits, target, self.temperatures, eos_id)
        tokens = real.to(of_reference.dtype)
        reference = tokens.sum(1)
        if blank_id >= 0:
            match, mass, written = frame_matches(
                logits, of_reference, normalisers, there, target, real, self.heats, blank_id
            )
            hypothesis = written[:, self.sharpest]  # where a token begins to win it does not jump
            recalled = match.sum(2).clamp(max=1.0)  # a token that several frames write in turn, by all of them
            diagonal, place = near_diagonal(match, mass, 0.0), tokens
        else:
            match, mass, written = soft_matches(
                of_reference, of_end, normalisers, keep, target, real, self.heats, eos_id
            )
            hypothesis, recalled = keep.sum(1).to(of_reference.dtype), match.amax(2)
            # An exported program does not serve diagonals of length 1.
            diagonal = torch.diagonal(F.pad(match, (0, 2, 0, 2)), 0, 2, 3)
            place = F.pad(tokens, (0, match.size(2) + 2))[:, : diagonal.size(2)]
        most = _sums_along((mass.unsqueeze(3) + match) * tokens.unsqueeze(1).unsqueeze(1), match)
        features = _of_alignments(written, most[0], most[1], recalled, diagonal, place, tokens, set_size)
        longer = torch.maximum(hypothesis, reference).clamp_min(1)
        lengths = [
            (hypothesis / reference.clamp_min(1)).clamp(max=4.0),
            1 - (hypothesis - reference).abs() / longer,
            1 / reference.clamp_min(1),
        ]
        of_written = (written / reference.clamp_min(1).unsqueeze(1)).clamp(max=4.0)
        context = torch.cat([of_written, torch.stack(lengths, 1)], 1)
        return torch.cat([features.flatten(1), context.view(-1, set_size, context.size(1)).mean(1)], 1)

    def score(self, features: Tensor, n_rows: int) -> Tensor:
        """One number a point, shape (n_points,)."""
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
        diagonal: and at its place, shape (n, k, L).
        place: 1 for each place that the reference has, shape (n, L).
        tokens: 1 for each token of the reference, shape (n, S).
        set_size: examples a point.
    """
    reference = tokens.sum(1, keepdim=True)
    edits = (written + reference - most_saved).clamp_min(0)
    longer, some = torch.maximum(written, reference).clamp_min(1), reference.clamp_min(1)
    as_long = (1 - (written - reference).abs()).clamp_min(0)
    of_examples = [
        1 - edits / longer,
        -(edits / some).clamp(max=4.0),
        -torch.log1p(edits) / 2,
        torch.exp(-edits),
        (1 - edits).clamp_min(0),
        2 * most_common / (written + reference).clamp_min(1),
        most_common / some,
        most_common / written.clamp_min(1),
        diagonal.sum(2) / some,
        (diagonal + 1 - place.unsqueeze(1)).amin(2) * as_long,
        recalled.sum(2) / some,
    ]
    features = torch.stack(of_examples, 2)
    features = features.view(-1, set_size, features.size(1), features.size(2)).mean(1)
    of_all = edits.view(-1, set_size, edits.size(1)).sum(1) / reference.view(-1, set_size, 1).sum(1).clamp_min(1)
    return torch.cat([features, -of_all.clamp(max=4.0).unsqueeze(2)], 2)


def _sums_along(saved: Tensor, match: Tensor) -> Tensor:
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
