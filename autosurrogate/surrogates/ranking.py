"""Networks for ranking.

Every network is given n lists, `set_size` for each point:

    scores     (n, L), float32, finite, 0 where there is no item
    relevance  (n, L), float32, 0 or more, 0 where there is no item
    valid      (n, L), float32: 1 where there is an item, else 0

No parameter depends on L or n.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from autosurrogate.surrogates import _losses
from autosurrogate.surrogates._layers import bounded, matmul
from autosurrogate.surrogates._monotone_mlp import MonotoneMLP
from autosurrogate.surrogates._ranking_profile import ListProfile
from autosurrogate.surrogates._ranking_spread import relative_scores
from autosurrogate.surrogates._shapes import expect

N_CONTEXT = 2  # features that do not depend on the scores


class SoftRanks(nn.Module):
    """Soft ranks at several temperatures, and what ranking metrics make of them.

    The rank of an item is 1 plus a sigmoid of each other item's lead (Qin et al., Information Retrieval 2010). Leads
    are in units of the mean distance of two scores of the list, so the scale of the scores does not matter. Features
    are NDCG, with the relevance and with 2^relevance - 1 as gain, and recall, all at several smooth cut-offs; the
    reciprocal rank; average precision; and the place of the ranks, weighted by relevance, between the best and the
    worst order.

    Args:
        temperatures: of the sigmoids, in mean distances; small ones see the order alone, large ones reach items far
            apart with their gradient.
        cutoffs: at which ranks lists are cut off.
        width: hidden units.
        n_hidden: hidden layers.
        n_tie_features: 1 for the fraction of pairs of a relevant and an irrelevant item that have the same score, or 0.
            Metrics differ in which of the two comes first; for soft ranks it is halfway.
    """

    FEATURE_SETTINGS = ("temperatures", "cutoffs", "n_tie_features")
    cutoffs: Tensor

    def __init__(
        self,
        temperatures: list[float],
        cutoffs: Sequence[int] = (1, 3, 5, 10, 20),
        width: int = 32,
        n_hidden: int = 2,
        n_tie_features: int = 0,
    ) -> None:
        super().__init__()
        self.temperatures = [float(t) for t in temperatures]
        self.n_tie_features = n_tie_features
        self.register_buffer("cutoffs", torch.tensor([float(k) for k in cutoffs]), persistent=False)
        n_context = N_CONTEXT + n_tie_features
        self.layers = MonotoneMLP(len(self.feature_names()) - n_context, n_context, width, n_hidden)

    def n_rows(self, set_size: int) -> int:
        """Rows of `features` for each point."""
        return set_size

    def feature_names(self) -> list[str]:
        """A name for each column of `features`."""
        places = [f"at {int(k)}" for k in self.cutoffs.tolist()]
        names = [f"{kind} {place}" for kind in ("ndcg", "exponential ndcg") for place in [*places, "of all"]]
        names += [f"recall {place}" for place in places]
        names += ["reciprocal rank", "average precision", "order"]
        names = [f"{name} at {t:g}" for t in self.temperatures for name in names]
        return [*names, "1 / items", "relevant", *["ties"][: self.n_tie_features]]

    def features(self, scores: Tensor, relevance: Tensor, valid: Tensor, set_size: int) -> Tensor:
        """Shape (n, n_features)."""
        relevant = (relevance > 0).to(scores.dtype)
        n_items, n_relevant = valid.sum(1, keepdim=True), relevant.sum(1, keepdim=True).clamp_min(1)
        gains = _gains(relevance)
        ordered = gains.sort(dim=1, descending=True)[0]
        place = torch.arange(1, scores.size(1) + 1, dtype=scores.dtype, device=scores.device).view(1, -1, 1)
        ideal = _discounted(ordered, place, place <= self.cutoffs).clamp_min(1e-6)
        best = (ordered * place).sum(1)[:, :1]
        worst = (ordered * (n_items.unsqueeze(2) + 1 - place)).sum(1)[:, :1]
        counted = torch.stack([valid, relevant], 2)
        relative = relative_scores(scores, valid)
        features: list[Tensor] = []
        for temperature in self.temperatures:
            scaled = relative / temperature
            ahead = torch.sigmoid(scaled.unsqueeze(1) - scaled.unsqueeze(2))  # (n, i, j): j is ahead of i
            rank, relevant_rank = (0.5 + matmul(ahead, counted)).chunk(2, 2)  # among all, and among the relevant ones
            within = torch.sigmoid((self.cutoffs + 0.5 - rank) / (0.1 + temperature))  # (n, L, n_cutoffs)
            reciprocal = relevant.unsqueeze(2) / rank
            features += [
                _discounted(gains, rank, within) / ideal,
                (within * relevant.unsqueeze(2)).sum(1) / n_relevant,
                reciprocal.amax(1),
                (relevant_rank * reciprocal).sum(1) / n_relevant,
                1 - ((gains[:, :, :1] * rank).sum(1) - best) / (worst - best).clamp_min(1e-2),
            ]
        features += [1 / n_items.clamp_min(1), n_relevant / n_items.clamp_min(1)]
        if self.n_tie_features > 0:
            features.append(_ties(scores.detach(), relevant, valid - relevant))
        return torch.cat(features, 1)

    def score(self, features: Tensor, n_rows: int) -> Tensor:
        """One number for each point, shape (n // n_rows,): the mean over its lists."""
        return self.layers(features).view(-1, n_rows).mean(1)


def _discounted(gains: Tensor, rank: Tensor, within: Tensor) -> Tensor:
    """Discounted cumulative gain of two kinds of gains at each cut-off, and without any.

    Args:
        gains: shape (n, L, 2).
        rank: shape (n, L, 1).
        within: shape (n, L, n_cutoffs), 1 where an item counts, else 0.

    Returns:
        Shape (n, 2 * (n_cutoffs + 1)), kind by kind.
    """
    discount = torch.cat([within, torch.ones_like(rank)], 2) / torch.log2(1 + rank)
    return (gains.unsqueeze(3) * discount.unsqueeze(2)).sum(1).flatten(1)


def _gains(relevance: Tensor) -> Tensor:
    """Relevance and 2^relevance - 1, both scaled so that the list's largest is about 1: (n, L) to (n, L, 2)."""
    largest = relevance.amax(1, keepdim=True)
    exponential = torch.exp2(relevance - largest) - torch.exp2(-largest)
    return torch.stack([relevance / largest.clamp_min(1e-6), exponential], 2)


def _ties(scores: Tensor, relevant: Tensor, irrelevant: Tensor) -> Tensor:
    """The fraction of pairs of a relevant and an irrelevant item that have the same score, shape (n, 1)."""
    tied = (scores.unsqueeze(1) == scores.unsqueeze(2)).to(scores.dtype)  # (n, i, j)
    n_pairs = relevant.sum(1, keepdim=True) * irrelevant.sum(1, keepdim=True)
    return (relevant * matmul(tied, irrelevant.unsqueeze(2)).squeeze(2)).sum(1, keepdim=True) / n_pairs.clamp_min(1)


NETWORKS = {"soft_ranks": SoftRanks, "list_profile": ListProfile}


class SetLoss(_losses.SetLoss):
    """The loss of a whole batch as one set: preds are scores (n, L), target relevance (n, L), of which -1 pads."""

    def features(self, preds: Tensor, target: Tensor, set_size: int) -> Tensor:
        """The network's features of lists, `set_size` for each point."""
        fits = preds.dim() == 2 and preds.shape == target.shape
        expect(fits, preds, target, "scores (n, L) and relevance of the same shape")
        relevance = target.to(torch.float32)
        valid = relevance >= 0
        scores = bounded(preds).masked_fill(~valid, 0.0)
        return self.network.features(scores, relevance.clamp_min(0), valid.to(torch.float32), set_size)


class SampleLoss(_losses.SampleLoss, SetLoss):
    """The mean loss of the lists of a batch."""
