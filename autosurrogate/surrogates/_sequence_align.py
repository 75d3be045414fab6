"""A network for metrics of what is aligned in order: edit distances, longest common subsequences, exact matches."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autosurrogate.surrogates._falling import Falling
from autosurrogate.surrogates._sequence_alignment import best_alignment
from autosurrogate.surrogates._sequence_match import soft_matches, softmax_parts

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

    def __init__(self, temperatures: list[float], width: int = 64, n_hidden: int = 2) -> None:
        super().__init__()
        self.temperatures = [float(t) for t in temperatures]
        n_context = len(temperatures) + N_LENGTHS
        self.layers = Falling(len(self.columns()) - n_context, n_context, width, n_hidden)

    def rows(self, set_size: int) -> int:
        """Rows of `features` a point: the means over its examples."""
        return 1

    def columns(self) -> list[str]:
        """Names of the columns of `features`."""
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
        hypothesis, reference = keep.sum(1).to(of_reference.dtype), tokens.sum(1)
        saved: list[Tensor] = []
        matches: list[Tensor] = []
        gaps: list[Tensor] = []
        written: list[Tensor] = []
        for i, temperature in enumerate(self.temperatures):
            match, mass, n_written, in_gaps = soft_matches(
                logits, of_reference, of_end, normalisers[:, :, i], there, keep, target, real, temperature, eos_id,
                blank_id,
            )  # fmt: skip
            saved.append((mass.unsqueeze(2) + match) * tokens.unsqueeze(1))
            matches.append(match)
            written.append(n_written)
            if in_gaps is not None:
                gaps.append(in_gaps)
        most = _sums_along(saved, matches, gaps).view(2, len(matches), -1)
        features: list[Tensor] = []
        lengths: list[Tensor] = []
        for i, match in enumerate(matches):
            in_gaps = gaps[i] if len(gaps) > 0 else None
            features.append(_of_alignments(match, written[i], in_gaps, most[0, i], most[1, i], tokens, set_size))
            lengths.append((written[i] / reference.clamp_min(1)).clamp(max=4.0))
        longer = torch.maximum(hypothesis, reference).clamp_min(1)
        lengths += [
            (hypothesis / reference.clamp_min(1)).clamp(max=4.0),
            1 - (hypothesis - reference).abs() / longer,
            1 / reference.clamp_min(1),
        ]
        features.append(_means(lengths, set_size))
        return torch.cat(features, 1)

    def score(self, features: Tensor, rows: int) -> Tensor:
        """One number a point, shape (n_points,)."""
        return self.layers(features).squeeze(1)


def _of_alignments(
    match: Tensor,
    written: Tensor,
    in_gaps: Tensor | None,
    most_saved: Tensor,
    most_common: Tensor,
    tokens: Tensor,
    set_size: int,
) -> Tensor:
    """Features at one temperature, shape (n_points, 12).

    Args:
        match: match matrix, shape (n, T, S).
        written: how much is written in all, shape (n,).
        in_gaps: what the gaps between the tokens hold of the reference's, shape (n, T + 1, S).
        most_saved: what the best alignment saves of edits, shape (n,).
        most_common: length of the longest common subsequence, shape (n,).
        tokens: 1 for each token of the reference, shape (n, S).
        set_size: examples a point.
    """
    reference = tokens.sum(1)
    edits = (written + reference - most_saved).clamp_min(0)
    longer, some = torch.maximum(written, reference).clamp_min(1), reference.clamp_min(1)
    recalled = match.amax(1)
    if in_gaps is not None:
        recalled = torch.maximum(recalled, in_gaps.amax(1))
    # An exported program does not serve diagonals of length 1.
    diagonal = torch.diagonal(F.pad(match, (0, 2, 0, 2)), 0, 1, 2)
    place = F.pad(tokens, (0, match.size(1) + 2))[:, : diagonal.size(1)]
    as_long = (1 - (written - reference).abs()).clamp_min(0)
    features = [
        1 - edits / longer,
        -(edits / some).clamp(max=4.0),
        -torch.log1p(edits) / 2,
        torch.exp(-edits),
        (1 - edits).clamp_min(0),
        2 * most_common / (written + reference).clamp_min(1),
        most_common / some,
        most_common / written.clamp_min(1),
        diagonal.sum(1) / some,
        (diagonal + 1 - place).amin(1) * as_long,
        recalled.sum(1) / some,
    ]
    of_all = edits.view(-1, set_size).sum(1) / reference.view(-1, set_size).sum(1).clamp_min(1)
    return torch.cat([_means(features, set_size), -of_all.clamp(max=4.0).unsqueeze(1)], 1)


def _sums_along(saved: list[Tensor], matches: list[Tensor], gaps: list[Tensor]) -> Tensor:
    """The sums of both kinds of gains along their own best alignments, values and gradients.

    Args:
        saved: gains of each temperature, shape (n, T, S) each.
        matches: as many.
        gaps: shape (n, T + 1, S) each; empty if there are none.

    Returns:
        Shape (2 * n_temperatures * n,): of `saved`, then of `matches`.
    """
    gain = torch.cat(saved + matches)
    gap: Tensor | None = None
    if len(gaps) > 0:
        of_match = torch.cat(gaps)
        gap = torch.cat([2 * of_match, of_match])  # what little is there is neither deleted nor inserted
    best, weight, gap_weight = best_alignment(gain, gap)
    best = best + (weight * (gain - gain.detach())).sum(2).sum(1)
    if gap is not None and gap_weight is not None:
        best = best + (gap_weight * (gap - gap.detach())).sum(2).sum(1)
    return best


def _means(features: list[Tensor], set_size: int) -> Tensor:
    """The mean of each feature, shape (n,), over the examples of a point: shape (n // set_size, n_features)."""
    return torch.stack(features, 1).view(-1, set_size, len(features)).mean(1)
