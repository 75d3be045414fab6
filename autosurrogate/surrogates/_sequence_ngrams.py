"""Soft n-gram matches, and a network of them for metrics of n-grams: BLEU, GLEU, ROUGE."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autosurrogate.surrogates._layers import matmul
from autosurrogate.surrogates._monotone_mlp import MonotoneMLP
from autosurrogate.surrogates._sequence_batch import SequenceBatch
from autosurrogate.surrogates._sequence_margins import sharpest, with_relative_matches
from autosurrogate.surrogates._sequence_match import SoftmaxParts, near_diagonal, softmax_parts

N_LENGTHS = 4  # features of lengths, the last ones


class NGrams(nn.Module):
    """Features of a network: soft n-gram matches, and lengths, at several temperatures.

    The match matrix A[t, s] = p_t(reference token s) at each temperature; products along its diagonals are soft
    matches of n-grams. Counted from the reference, from the hypothesis, and clipped as BLEU clips (Papineni et al.,
    ACL 2002): no n-gram counts more often than the reference has it.

    Args:
        temperatures: of the softmax; small ones see the argmax, large ones reach competitors with their gradient.
        relative_temperatures: the same of logits relative to the mean margin of the point's positions, which see the
            order at any scale of the logits.
    """

    heats: Tensor  # the temperatures, where the logits are
    relative_heats: Tensor
    relative_temperatures: list[float]  # which may be empty

    def __init__(self, temperatures: list[float], relative_temperatures: Sequence[float] = ()) -> None:
        super().__init__()
        self.temperatures = [float(t) for t in temperatures]
        self.relative_temperatures = [float(t) for t in relative_temperatures]
        self.n_temperatures = len(self.temperatures) + len(self.relative_temperatures)
        self.sharpest = sharpest(self.temperatures, self.relative_temperatures)
        self.register_buffer("heats", torch.tensor(self.temperatures), persistent=False)
        self.register_buffer("relative_heats", torch.tensor(self.relative_temperatures), persistent=False)

    def n_rows(self, set_size: int) -> int:
        """Rows of `features` for each point: the examples of a point are summed before any ratio is taken."""
        return 1

    def feature_names(self) -> list[str]:
        """Names of the columns; the last `N_LENGTHS` are of lengths."""
        names = ["diagonal below", "diagonal", "diagonal above"]
        names += [f"{kind} {order}" for kind in ("precision", "recalled", "covered") for order in (1, 2, 3, 4)]
        names += ["geometric mean", "of hypothesis", "of reference", "of longer"]
        lengths = ["brevity", "length ratio", "1 / length", "1 / reference length"]
        fractions = [f"{name} at {t:g}" for t in self.temperatures for name in names]
        fractions += [f"{name} relative {t:g}" for t in self.relative_temperatures for name in names]
        return fractions + lengths

    def ngram_features(self, batch: SequenceBatch, softmax: SoftmaxParts, set_size: int) -> Tensor:
        """The features, shape (n_points, n_features); `softmax` is from `softmax_parts`."""
        target, ref_mask, dtype = batch.target, batch.ref_mask, softmax.reference_logits.dtype
        same = (target.unsqueeze(2) == target.unsqueeze(1)) & ref_mask.unsqueeze(2) & ref_mask.unsqueeze(1)
        same_token = same.to(dtype)
        same_grams, repeats = same_token, [same_token.sum(2).clamp_min(1)]
        for n in range(1, 4):
            same_grams = same_grams * _shifted(same_token, n)
            repeats.append(same_grams.sum(2).clamp_min(1))  # how often the reference has the n-gram

        matches = with_relative_matches(
            batch, softmax, self.heats, self.relative_temperatures, self.relative_heats, set_size
        )
        follows: Tensor | None = None
        if batch.blank_id >= 0:
            follows = _follows(matches.mass)
            # Of the sharpest temperature: where a token begins to win it does not jump.
            decoded = matches.length[:, self.sharpest : self.sharpest + 1]
            sums = [near_diagonal(matches.match, matches.mass, shift).sum(2) for shift in (-1.0, 0.0, 1.0)]
        else:
            decoded = batch.hyp_mask.to(dtype).sum(1, keepdim=True)
            padded = F.pad(matches.match, (0, 2, 0, 2))  # an exported program does not serve diagonals of length 1
            sums = [torch.diagonal(padded, shift, 2, 3).sum(2) for shift in (-1, 0, 1)]
        grams = matches.match
        for n in range(4):
            if n > 0:
                grams = _longer(grams, matches.match, n, follows)
            hyp_counts, ref_counts = grams.sum(2), repeats[n].unsqueeze(1)
            sums.append((torch.minimum(hyp_counts, ref_counts) / ref_counts).sum(2))
            # A token that several frames write in turn is recalled by all of them.
            sums.append((grams.amax(2) if follows is None else hyp_counts.clamp(max=1.0)).sum(2))
            sums.append(grams.amax(3).sum(2))
        ref_length = ref_mask.to(dtype).sum(1, keepdim=True)
        return self._ratios(
            torch.stack(sums, 2).view(-1, set_size, self.n_temperatures, len(sums)).sum(1),
            _counts(matches.length, set_size),
            _counts(decoded, set_size),
            _counts(ref_length, set_size),
        )

    def _ratios(self, matched: Tensor, written: Tensor, decoded: Tensor, reference: Tensor) -> Tensor:
        """Fractions of n-grams that match, and lengths, shape (n_points, n_features).

        Args:
            matched: shape (n_points, n_temperatures, 15).
            written: n-grams of each order that the hypotheses have at each temperature, (n_points, n_temperatures, 4).
            decoded: those they have when decoded, shape (n_points, 1, 4).
            reference: those of the references, shape (n_points, 1, 4).
        """
        grams = matched[:, :, 3:].reshape(-1, self.n_temperatures, 4, 3)
        clipped = grams[:, :, :, 0]
        reference_length = reference[:, :, :1].clamp_min(1)
        precision = torch.log((clipped + 0.25) / (written + 0.25))
        n_orders = (decoded > 0).to(matched.dtype).sum(2, keepdim=True).clamp_min(1)
        total, all_reference = clipped.sum(2, keepdim=True), reference.sum(2, keepdim=True)
        all_written = written.sum(2, keepdim=True)
        of_lengths = _brevity(written, reference)
        fractions = [
            matched[:, :, :3] / reference_length,
            precision / 2,
            grams[:, :, :, 1] / reference.clamp_min(1),
            grams[:, :, :, 2] / written.clamp_min(1),
            (precision.sum(2, keepdim=True) / n_orders + of_lengths) / 2,
            total / all_written.clamp_min(1),
            total / all_reference.clamp_min(1),
            total / torch.maximum(all_written, all_reference).clamp_min(1),
        ]
        length = decoded[:, :, :1]
        ratio = (length / reference_length).clamp(max=4.0)
        lengths = [_brevity(decoded, reference), ratio, 1 / length.clamp_min(1), 1 / reference_length]
        return torch.cat([torch.cat(fractions, 2).flatten(1), torch.cat(lengths, 2).flatten(1)], 1)


class Match(NGrams):
    """A perceptron of soft n-gram matches.

    Args:
        temperatures: of the softmax; small ones see the argmax, large ones reach competitors with their gradient.
        width: hidden units.
        n_hidden: hidden layers.
        relative_temperatures: the same of logits relative to the mean margin of the point's positions, which see the
            order at any scale of the logits.
    """

    FEATURE_SETTINGS = ("temperatures", "relative_temperatures")

    def __init__(
        self,
        temperatures: list[float],
        width: int = 96,
        n_hidden: int = 2,
        relative_temperatures: Sequence[float] = (),
    ) -> None:
        super().__init__(temperatures, relative_temperatures)
        self.layers = MonotoneMLP(len(self.feature_names()) - N_LENGTHS, N_LENGTHS, width, n_hidden)

    def features(self, batch: SequenceBatch, set_size: int) -> Tensor:
        """What the metric depends on, shape (n_points, n_features), free of parameters."""
        softmax = softmax_parts(batch.logits, batch.target, self.temperatures, batch.eos_id)
        return self.ngram_features(batch, softmax, set_size)

    def score(self, features: Tensor, n_rows: int) -> Tensor:
        """One number for each point, shape (n_points,)."""
        return self.layers(features).squeeze(1)


def _counts(lengths: Tensor, set_size: int) -> Tensor:
    """How many n-grams of 1 to 4 tokens the examples of a point have, (n, k) lengths to (n // set_size, k, 4)."""
    fewer = torch.arange(4, dtype=lengths.dtype, device=lengths.device)
    counts = (lengths.unsqueeze(2) - fewer).clamp_min(0)
    return counts.view(-1, set_size, lengths.size(1), 4).sum(1)


def _brevity(hypothesis: Tensor, reference: Tensor) -> Tensor:
    """The logarithm of BLEU's brevity penalty from numbers of n-grams, at least -4, (n_points, k, 4) to (…, k, 1)."""
    return (1 - reference[:, :, :1] / hypothesis[:, :, :1].clamp_min(1)).clamp(min=-4.0, max=0.0)


def _longer(grams: Tensor, match: Tensor, n: int, follows: Tensor | None) -> Tensor:
    """Soft matches of n-grams that are longer by a token, (n, k, T, S), [t, s] where they begin.

    Args:
        grams: those of n tokens, of the same shape.
        match: those of one token.
        n: how many tokens.
        follows: of frames, how much of what one writes is followed by what another writes, (n, k, T, T).
    """
    if follows is None:
        return grams * _shifted(match, n)
    return match * matmul(follows, F.pad(grams, (0, 1))[..., 1:])


def _follows(mass: Tensor) -> Tensor:
    """How probably nothing is written between two frames, (n, k, T) to (n, k, T, T); 0 if the second is not later."""
    nothing = torch.log1p(-mass.clamp(max=1 - 1e-5))
    until = nothing.cumsum(2)
    between = (until - nothing).unsqueeze(2) - until.unsqueeze(3)
    later = torch.ones(mass.size(2), mass.size(2), dtype=torch.bool, device=mass.device).triu(1)
    return torch.exp(between.masked_fill(~later, -1e4))


def _shifted(match: Tensor, by: int) -> Tensor:
    """match[..., t + by, s + by], 0 beyond the end; the same shape."""
    return F.pad(match, (0, by, 0, by))[..., by:, by:]  # in this order an exported program serves the shortest, too
