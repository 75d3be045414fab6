"""A network for metrics of how tokens are spelled: chrF, METEOR's stems, errors counted in characters."""

from collections.abc import Sequence

import torch
from torch import Tensor

from autosurrogate.surrogates._layers import matmul
from autosurrogate.surrogates._monotone_mlp import MonotoneMLP
from autosurrogate.surrogates._sequence_batch import SequenceBatch, with_logits
from autosurrogate.surrogates._sequence_margins import relative_to_margins
from autosurrogate.surrogates._sequence_match import soft_counts, softmax_parts
from autosurrogate.surrogates._sequence_ngrams import N_LENGTHS, NGrams
from autosurrogate.tasks._vocabulary import BINS, ORDERS


class Spelled(NGrams):
    """Soft matches of n-grams of characters within tokens, beside those of n-grams of tokens.

    The expected counts of tokens, times how often each token has each n-gram of characters, are the expected counts
    of those; what hypothesis and reference have in common of them is the sum of the smaller counts, as chrF has it
    (Popović, WMT 2015), but for n-grams that lie across tokens, and for those that share a bin.

    Args:
        temperatures: of the softmax; small ones see the argmax, large ones reach competitors with their gradient.
        width: hidden units.
        n_hidden: hidden layers.
        relative_temperatures: the same of logits relative to the mean margin of the point's positions, which see the
            order at any scale of the logits.

    Attributes:
        grams: n-grams of characters of each token of the vocabulary, uint8 (V, n_bins); from the task, see
            `autosurrogate.tasks._vocabulary.Vocabulary.grams`.
    """

    FEATURE_SETTINGS = ("temperatures", "relative_temperatures")
    grams: Tensor
    relative_temperatures: list[float]  # which may be empty; TorchScript does not see the class above

    def __init__(
        self,
        temperatures: list[float],
        width: int = 64,
        n_hidden: int = 1,
        relative_temperatures: Sequence[float] = (),
    ) -> None:
        super().__init__(temperatures, relative_temperatures)
        self.bins = list(BINS)
        self.register_buffer("grams", torch.zeros(1, sum(BINS), dtype=torch.uint8), persistent=False)
        n_context = N_LENGTHS + self.n_temperatures
        self.layers = MonotoneMLP(len(self.feature_names()) - n_context, n_context, width, n_hidden)

    def feature_names(self) -> list[str]:
        """A name for each column of `features`."""
        names = [f"{kind} of {order} characters" for order in ORDERS for kind in ("precise", "recalled", "F", "near")]
        seen = [f"at {t:g}" for t in self.temperatures] + [f"relative {t:g}" for t in self.relative_temperatures]
        fractions = [f"{name} {t}" for t in seen for name in names]
        return fractions + super().feature_names() + [f"character ratio {t}" for t in seen]

    def features(self, batch: SequenceBatch, set_size: int) -> Tensor:
        """What the metric depends on, shape (n_points, n_features), free of parameters.

        Raises:
            ValueError: the logits are not of the vocabulary that the loss was fitted for.
        """
        if batch.logits.size(2) != self.grams.size(0):
            raise ValueError(
                f"preds has {batch.logits.size(2)} tokens, but this loss is for a vocabulary of {self.grams.size(0)}"
            )
        softmax = softmax_parts(batch.logits, batch.target, self.temperatures, batch.eos_id)
        all_counts = [
            soft_counts(batch, softmax.log_normalisers[:, :, i], temperature)
            for i, temperature in enumerate(self.temperatures)
        ]
        if len(self.relative_temperatures) > 0:
            relative = with_logits(batch, relative_to_margins(batch.logits, batch.valid, set_size))
            sharpened = softmax_parts(relative.logits, batch.target, self.relative_temperatures, batch.eos_id)
            all_counts += [
                soft_counts(relative, sharpened.log_normalisers[:, :, i], temperature)
                for i, temperature in enumerate(self.relative_temperatures)
            ]
        grams = self.grams.to(softmax.reference_logits.dtype)
        ref_grams = (grams[batch.target] * batch.ref_mask.unsqueeze(2)).sum(1)
        fractions: list[Tensor] = []
        ratios: list[Tensor] = []
        for counts in all_counts:
            hyp_counts = torch.split(matmul(counts, grams), self.bins, 1)
            for order, ref_counts in enumerate(torch.split(ref_grams, self.bins, 1)):
                common = _of_points(torch.minimum(hyp_counts[order], ref_counts).sum(1), set_size)
                n_hyp = _of_points(hyp_counts[order].sum(1), set_size)
                n_ref = _of_points(ref_counts.sum(1), set_size)
                fractions.append(common / n_hyp.clamp_min(1))
                fractions.append(common / n_ref.clamp_min(1))
                fractions.append(2 * common / (n_hyp + n_ref).clamp_min(1))
                fractions.append(torch.log((common + 0.5) / (torch.maximum(n_hyp, n_ref) + 0.5)) / 2)
                if order == 0:
                    ratios.append((n_hyp / n_ref.clamp_min(1)).clamp(max=4.0))
        tokens = self.ngram_features(batch, softmax, set_size)
        return torch.cat([torch.stack(fractions, 1), tokens, torch.stack(ratios, 1)], 1)

    def score(self, features: Tensor, n_rows: int) -> Tensor:
        """One number for each point, shape (n_points,)."""
        return self.layers(features).squeeze(1)


def _of_points(of_examples: Tensor, set_size: int) -> Tensor:
    """Sums over the examples of each point, (n,) to (n // set_size,)."""
    return of_examples.view(-1, set_size).sum(1)
