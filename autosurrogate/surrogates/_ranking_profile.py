"""A network for any metric of ranked lists: what is gained down to each rank, and where single items stand."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autosurrogate.surrogates._heads import build_head
from autosurrogate.surrogates._layers import matmul
from autosurrogate.surrogates._ranking_gains import (
    CUTOFFS,
    DISCOUNTS,
    FOUND,
    GAINS,
    ITEMS,
    PAIRS,
    READERS,
    gains_by_rank,
    gains_of,
    of_items,
    of_pairs,
    of_readers,
    of_relevant,
    stop_probabilities,
)
from autosurrogate.surrogates._ranking_places import pairs_of, slopes_of_pairs, slopes_through, sums_ahead, with_slopes
from autosurrogate.surrogates._ranking_spread import relative_scores

POOLED = (  # features that are pooled over lists in further ways than by their mean
    *("relevant down to 1", "best down to 1", "recall down to 5", "ndcg of relative grade"),
    *("reciprocal rank of relevant 1", "depth of last relevant", "average precision", "relevant pairs"),
)
POOLINGS = ("worst", "best", "geometric mean")
CONTEXT = ("1 / items", "log items", "1 / relevant", "relevant", "largest grade", *(f"total {gain}" for gain in GAINS))


class ListProfile(nn.Module):
    """A description of each list, from soft ranks with their gains, pooled over the lists of a set.

    Of each list: the gain down to several ranks and its discounted sum, for gains by grade (relative to the list's best
    grade, and absolute); the places of the first relevant items and of the last; how many pairs are in the right order;
    and what a reader finds who stops at an item with a probability that rises with its grade. Of a set: their means,
    and of some the worst, the best and the geometric mean.

    Args:
        temperatures: of the soft ranks, in mean distances of two scores of a list.
        head: "monotone": the loss falls as any of these qualities rises; "free": a perceptron.
        width: hidden units.
        n_hidden: hidden layers.
    """

    FEATURE_SETTINGS = ("temperatures",)
    pooled: Tensor

    def __init__(self, temperatures: list[float], head: str = "monotone", width: int = 32, n_hidden: int = 2) -> None:
        super().__init__()
        self.temperatures = [float(t) for t in temperatures]
        self.cutoffs = [float(k) for k in CUTOFFS]
        names = _names_of_lists()
        columns = torch.tensor([names.index(name) for name in POOLED])
        self.register_buffer("pooled", F.one_hot(columns, len(names)).float().t().contiguous(), persistent=False)
        n_features, n_context = len(self.feature_names()), len(CONTEXT)
        self.layers = build_head(head, n_features - n_context, n_context, width, n_hidden)

    def n_rows(self, set_size: int) -> int:
        """Rows of `features` for each point."""
        return 1

    def feature_names(self) -> list[str]:
        """A name for each column of `features`: qualities, then context."""
        names = [*_names_of_lists(), *(f"{pooling} of {name}" for pooling in POOLINGS for name in POOLED)]
        return [*(f"{name} at {t:g}" for t in self.temperatures for name in names), *CONTEXT]

    def features(self, scores: Tensor, relevance: Tensor, valid: Tensor, set_size: int) -> Tensor:
        """Shape (n_points, n_features)."""
        relative = relative_scores(scores, valid)
        gains = gains_of(relevance)  # (n, n_gains, L)
        n_items, totals = valid.sum(1, keepdim=True), gains.sum(2)
        n_relevant, largest = totals[:, 2:3], relevance.amax(1, keepdim=True)
        features: list[Tensor] = []
        for temperature in self.temperatures:
            of_lists = _of_places(relative, relevance, gains, valid, self.cutoffs, temperature)
            pooled = matmul(of_lists, self.pooled.to(of_lists.dtype)).view(-1, set_size, self.pooled.size(1))
            geometric = torch.log(pooled.clamp_min(0) + 1e-3).mean(1) / 7
            of_lists = of_lists.view(-1, set_size, of_lists.size(1)).mean(1)
            features += [of_lists, -_largest(-pooled), _largest(pooled), geometric]
        context = torch.cat(
            [
                1 / n_items.clamp_min(1),
                torch.log(n_items.clamp_min(1)) / 4,
                1 / n_relevant.clamp_min(1),
                n_relevant / n_items.clamp_min(1),
                largest / (4 + largest),
                torch.log1p(totals) / 4,
            ],
            1,
        )
        features.append(context.view(-1, set_size, context.size(1)).mean(1))
        return torch.cat(features, 1)

    def score(self, features: Tensor, n_rows: int) -> Tensor:
        """One number for each point, shape (n_points,)."""
        scores: Tensor = self.layers(features)
        return scores.squeeze(1)


def _names_of_lists() -> list[str]:
    """A name for each number that describes a list at one temperature."""
    names = [f"{gain} down to {k}" for gain in GAINS for k in CUTOFFS]
    names += [f"{gain} by {discount}" for gain in GAINS for discount in DISCOUNTS]
    names += [f"ndcg of {gain}" for gain in GAINS[:3]]
    names += [f"recall down to {k}" for k in CUTOFFS]
    names += [f"{what} {item}" for what in ("log rank of", "reciprocal rank of", "depth of") for item in ITEMS]
    names += [f"irrelevant before {item}" for item in ITEMS]
    return [*names, *FOUND, *READERS, *PAIRS]


def _largest(values: Tensor, temperature: float = 0.1) -> Tensor:
    """About the largest over the lists of each set, (n_points, set_size, k) to (n_points, k)."""
    top = values.detach().amax(1, keepdim=True)
    return top.squeeze(1) + temperature * torch.log(torch.exp((values - top) / temperature).mean(1))


def _of_places(
    scores: Tensor, relevance: Tensor, gains: Tensor, valid: Tensor, cutoffs: list[float], temperature: float
) -> Tensor:
    """All features at one temperature, (n, n_features).

    Args:
        scores: shape (n, L), relative to their spread.
        relevance: shape (n, L).
        gains: from `gains_of`.
        valid: shape (n, L).
        cutoffs: ranks.
        temperature: of the soft ranks.
    """
    ahead, pair_slopes = pairs_of(scores, temperature)
    relevant = gains[:, 2]
    irrelevant = valid - relevant
    stays = torch.log1p(-stop_probabilities(relevance).clamp(max=0.98))
    sums = sums_ahead(ahead, torch.cat([torch.stack([valid, irrelevant], 1), stays], 1))
    rank, before = 1 + sums[:, 0], sums[:, 1]
    gained, gained_by_rank = gains_by_rank(rank, gains, cutoffs, temperature)
    item, item_by_rank, item_by_before = of_items(scores, gains, rank, before, valid)
    found, found_by_rank, found_by_before = of_relevant(gains, rank, before, valid)
    read, read_by_rank, read_by_stays = of_readers(relevance, rank, sums[:, 2:])
    ordered, weights = of_pairs(ahead, relevance, gains, rank, valid)
    by_rank = torch.cat([gained_by_rank, item_by_rank, found_by_rank, read_by_rank], 1)
    n_gained, n_item, n_found = gained.size(1), item.size(1), found.size(1)
    by_rank = slopes_through(by_rank, pair_slopes, valid)
    by_before = slopes_through(torch.cat([item_by_before, found_by_before], 1), pair_slopes, irrelevant)
    by_stays = torch.cat([slopes_through(read_by_stays[:, i : i + 1], pair_slopes, stays[:, i]) for i in range(2)], 1)
    slopes = torch.cat(
        [
            by_rank[:, :n_gained],
            by_rank[:, n_gained : n_gained + n_item + n_found] + by_before,
            by_rank[:, n_gained + n_item + n_found :] + by_stays,
            slopes_of_pairs(weights, pair_slopes),
        ],
        1,
    )
    return with_slopes(torch.cat([gained, item, found, read, ordered], 1), slopes, scores)
