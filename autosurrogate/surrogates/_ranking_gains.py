"""What ranking metrics are made of, from soft ranks: each number with its slopes by what is ahead of the items."""

import torch
from torch import Tensor

from autosurrogate.surrogates._ranking_places import places_of

GAINS = ("relative grade", "relative exponential", "relevant", "grade 2", "grade 3", "absolute grade", "best")
CUTOFFS = (1, 2, 3, 5, 10, 20)
DISCOUNTS = ("logarithm", "reciprocal", "0.8 to the power", "0.95 to the power")
ITEMS = ("relevant 1", "relevant 2", "relevant 3", "relevant 5", "last relevant", "grade 2", "last of grade 2", "best")
FOUND = ("average precision", "graded precision", "relevant pairs", "forgiven pairs")
READERS = ("stops", "relative stops")
PAIRS = ("graded pairs", "weighted pairs", "pairs at the top")


def gains_of(relevance: Tensor) -> Tensor:
    """What `GAINS` names: (n, L) to (n, n_gains, L). Absolute grades of 4 give 1, and larger ones little more."""
    largest = relevance.amax(1, keepdim=True)
    relevant = (relevance > 0).to(relevance.dtype)
    return torch.stack(
        [
            relevance / largest.clamp_min(1e-6),
            torch.exp2(relevance - largest) - torch.exp2(-largest),
            relevant,
            (relevance >= 2).to(relevance.dtype),
            (relevance >= 3).to(relevance.dtype),
            2 * relevance / (4 + relevance),
            relevant * (relevance >= largest),
        ],
        1,
    )


def stop_probabilities(relevance: Tensor) -> Tensor:
    """With which probability a reader stops at an item: (n, L) to (n, 2, L).

    (2^grade - 1) / 2^4, with the largest grade in place of 4 where that is larger, as in expected reciprocal rank
    (Chapelle et al., CIKM 2009); and the same with the list's largest grade in place of 4.
    """
    largest = relevance.amax(1, keepdim=True)
    exponent = torch.stack([largest.clamp_min(4), largest], 1)
    return torch.exp2(relevance.unsqueeze(1) - exponent) - torch.exp2(-exponent)


def gains_by_rank(rank: Tensor, gains: Tensor, cutoffs: list[float], temperature: float) -> tuple[Tensor, Tensor]:
    """Gains down to cut-offs and with discounts, NDCG, and recall down to cut-offs: (n, k), and slopes (n, k, L).

    Args:
        rank: shape (n, L).
        gains: from `gains_of`.
        cutoffs: ranks.
        temperature: of the ranks.
    """
    ends = torch.tensor(cutoffs, dtype=rank.dtype, device=rank.device).view(1, -1, 1)
    width = 0.1 + temperature
    within = torch.sigmoid((ends + 0.5 - rank.unsqueeze(1)) / width)  # (n, n_cutoffs, L)
    counted, falls = within / ends, within * (within - 1) / (width * ends)
    log = torch.log2(1 + rank)
    discounts = torch.stack([1 / log, 1 / rank, 0.8 ** (rank - 1), 0.95 ** (rank - 1)], 1) / 4
    slopes = torch.stack([-1 / ((1 + rank) * log.square() * 0.6931472), -1 / rank.square()], 1) / 4
    slopes = torch.cat([slopes, discounts[:, 2:3] * -0.2231436, discounts[:, 3:] * -0.0512933], 1)
    place = torch.arange(1, rank.size(1) + 1, dtype=rank.dtype, device=rank.device)
    ideal = (gains[:, :3].sort(2, descending=True)[0] / torch.log2(1 + place)).sum(2, keepdim=True).clamp_min(1e-6)
    normalised = gains[:, :3] / ideal
    recalled = ends * gains[:, 2:3] / gains[:, 2:3].sum(2, keepdim=True).clamp_min(1)
    values = _products(gains, normalised, recalled, counted, discounts).sum(2)
    return values, _products(gains, normalised, recalled, falls, slopes)


def _products(gains: Tensor, normalised: Tensor, recalled: Tensor, down_to: Tensor, discounts: Tensor) -> Tensor:
    """What each item adds to each number of `gains_by_rank`, (n, k, L): gains times functions of the rank."""
    return torch.cat(
        [
            (gains.unsqueeze(2) * down_to.unsqueeze(1)).flatten(1, 2),
            (gains.unsqueeze(2) * discounts.unsqueeze(1)).flatten(1, 2),
            4 * normalised * discounts[:, :1],
            recalled * down_to,
        ],
        1,
    )


def of_items(
    scores: Tensor, gains: Tensor, rank: Tensor, before: Tensor, valid: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Where single items stand; an item that is not there stands at the end of the list.

    Args:
        scores: shape (n, L).
        gains: from `gains_of`.
        rank: shape (n, L).
        before: how many irrelevant items are ahead, (n, L).
        valid: shape (n, L).

    Returns:
        The logarithm of the rank, its reciprocal, the depth and the logarithm of the irrelevant items ahead, of each of
        `ITEMS`, all larger for better places: (n, k). Then their slopes by `rank` and by `before`, (n, k, L).
    """
    end = 1e9  # beyond any list: the last one
    number = torch.tensor([1.0, 2.0, 3.0, 5.0, end, 1.0, end, 1.0], dtype=scores.dtype, device=scores.device)
    chosen = places_of(scores, gains[:, [2, 2, 2, 2, 2, 3, 3, 6]], number)  # (n, len(ITEMS), L)
    n_items = valid.sum(1, keepdim=True).clamp_min(1)
    absent = (1 - chosen.sum(2)) * n_items
    place = ((chosen * rank.unsqueeze(1)).sum(2) + absent).clamp_min(1)
    passed = (chosen * before.unsqueeze(1)).sum(2) + absent
    values = torch.cat([-torch.log(place) / 4, 1 / place, 1 - place / n_items, -torch.log1p(passed) / 4], 1)
    by_place = torch.cat([-0.25 / place, -1 / place.square(), (-1 / n_items).expand_as(place)], 1)
    nothing, three = torch.zeros_like(chosen), chosen.repeat(1, 3, 1)
    by_rank = torch.cat([by_place.unsqueeze(2) * three, nothing], 1)
    by_before = torch.cat([torch.zeros_like(three), (-0.25 / (1 + passed)).unsqueeze(2) * chosen], 1)
    return values, by_rank, by_before


def of_relevant(gains: Tensor, rank: Tensor, before: Tensor, valid: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What `FOUND` names, (n, 4), and its slopes by `rank` and by `before`, (n, 4, L).

    Forgiven pairs are those of a relevant item and one of the irrelevant ones before it, of which no more are counted
    than there are relevant ones.

    Args:
        gains: from `gains_of`.
        rank: shape (n, L).
        before: how many irrelevant items are ahead, (n, L).
        valid: shape (n, L).
    """
    weights = torch.stack([gains[:, 2], gains[:, 0]], 1)
    weights = weights / weights.sum(2, keepdim=True).clamp_min(1e-6)
    relevant = weights[:, 0]
    n_relevant = gains[:, 2].sum(1, keepdim=True)
    n_irrelevant = (valid.sum(1, keepdim=True) - n_relevant).clamp_min(1)
    fewer = torch.minimum(n_relevant.clamp_min(1), n_irrelevant)
    precision = (1 - before / rank).unsqueeze(1)
    values = torch.cat(
        [
            (weights * precision).sum(2),
            (relevant * (1 - before / n_irrelevant)).sum(1, keepdim=True),
            (relevant * (1 - before / fewer).clamp_min(0)).sum(1, keepdim=True),
        ],
        1,
    )
    by_rank = torch.cat([weights * (before / rank.square()).unsqueeze(1), torch.zeros_like(weights)], 1)
    pairs = torch.stack([-relevant / n_irrelevant, -relevant * (before < fewer) / fewer], 1)
    return values, by_rank, torch.cat([-weights / rank.unsqueeze(1), pairs], 1)


def of_readers(relevance: Tensor, rank: Tensor, stays: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What `READERS` names, (n, 2): the mean reciprocal rank at which readers stop, as in expected reciprocal rank.

    Args:
        relevance: shape (n, L).
        rank: shape (n, L).
        stays: the logarithm of the probability that a reader comes to an item, of both readers, (n, 2, L).

    Returns:
        The values, and their slopes by `rank` and by `stays`, (n, 2, L).
    """
    found = stop_probabilities(relevance) * torch.exp(stays) / rank.unsqueeze(1)
    return found.sum(2), -found / rank.unsqueeze(1), found


def of_pairs(ahead: Tensor, relevance: Tensor, gains: Tensor, rank: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """What `PAIRS` names, (n, 3), and how much each pair (i, j), of j ahead of i, counts, (n, 3, L, L).

    At the top, a pair counts less the more items are ahead of both, as in the AP correlation (Yilmaz et al., SIGIR
    2008).

    Args:
        ahead: from `pairs_of`.
        relevance: shape (n, L).
        gains: from `gains_of`.
        rank: shape (n, L).
        valid: shape (n, L).
    """
    both = valid.unsqueeze(1) * valid.unsqueeze(2)
    better = torch.sign(relevance.unsqueeze(1) - relevance.unsqueeze(2)) * both  # of j than i
    difference = (gains[:, 0].unsqueeze(1) - gains[:, 0].unsqueeze(2)) * both
    n_items = valid.sum(1).clamp_min(2).view(-1, 1, 1)
    n_ahead = (rank - 1).unsqueeze(2) + 1e-2
    weights = torch.stack(
        [
            2 * better / better.abs().sum(2).sum(1).view(-1, 1, 1).clamp_min(1),
            2 * difference / difference.abs().sum(2).sum(1).view(-1, 1, 1).clamp_min(1e-6),
            better / n_ahead / (n_items - 1),
        ],
        1,
    )
    values = (weights * ahead.unsqueeze(1)).sum(3).sum(2)
    # Another item ahead of i, whichever it is, makes each of the others count less.
    lost = (weights[:, 2] * ahead).sum(2, keepdim=True) / n_ahead * both
    return values, torch.cat([weights[:, :2], (weights[:, 2] - lost).unsqueeze(1)], 1)
