"""Counts of each class pooled over the classes in many ways: means, powers, the worst, by frequency."""

import torch
from torch import Tensor

from autosurrogate.surrogates._classification_rows import TargetRows, entropy, mean_of_present, sums_by_row
from autosurrogate.surrogates._layers import matmul

# Which qualities and what else sets have at one temperature, in the order of `pooled_counts`.
QUALITIES = (
    *("accuracy", "recall", "precision", "f1", "jaccard", "f1 of all", "recall of frequent", "recall of rare"),
    *("weighted precision", "weighted f1", "weighted jaccard", "geometric recall", "geometric f1", "harmonic recall"),
    *("worst recall", "worst f1", "best f1", "classes found", "mcc", "kappa", "frequencies", "-divergence"),
)
CONTEXT = ("chance", "balance of predictions")
#: What depends on the targets alone.
CONSTANTS = ("1 / classes", "balance", "entropy of targets", "rarest", "log size")
FLOOR = 0.01  # added to a number whose logarithm is taken


def pooled_counts(probability: Tensor, target: Tensor, rows: TargetRows, floor: float = FLOOR) -> tuple[Tensor, Tensor]:
    """`QUALITIES` and `CONTEXT` of sets, shapes (n_points, n_qualities) and (n_points, n_context).

    Args:
        probability: of each class at one temperature, shape (n, C).
        target: shape (n,).
        rows: of the targets.
        floor: added to a number whose logarithm is taken.
    """
    actual, present, n, n_present = rows.actual, rows.present, rows.n, rows.n_present
    hits = sums_by_row(rows, probability.gather(1, target.unsqueeze(1)).squeeze(1))
    of_sets = probability.view(rows.weight.size(0), rows.weight.size(1), -1)
    predicted_all = matmul(rows.weight.unsqueeze(1), of_sets).squeeze(1)
    predicted = predicted_all.gather(1, rows.of_row) * present
    support = actual / n.unsqueeze(1)
    recall, precision = hits / actual.clamp_min(1), hits / (predicted + 0.03)
    f1 = 2 * hits / (predicted + actual).clamp_min(1)
    jaccard = hits / (predicted + actual - hits).clamp_min(1)

    accuracy, chance = hits.sum(1) / n, (predicted * support).sum(1) / n
    balance, spread = support.square().sum(1), predicted_all.square().sum(1) / n.square()
    agreement = accuracy - chance
    rarity = present / actual.clamp_min(1)
    # Classes without a target count as far as they are predicted, and 0 that are not.
    foreign = (1 - torch.exp(-3 * predicted_all)).sum(1) - ((1 - torch.exp(-3 * predicted)) * present).sum(1)
    logs = [torch.log((x + floor) / (1 + floor)) for x in (recall, f1)]
    distance = predicted_all.sum(1) + ((predicted - actual).abs() - predicted).sum(1)
    qualities = [
        accuracy,
        mean_of_present(rows, recall),
        mean_of_present(rows, precision),
        mean_of_present(rows, f1),
        mean_of_present(rows, jaccard),
        f1.sum(1) / (n_present + foreign),
        (hits * actual).sum(1) / actual.square().sum(1).clamp_min(1),
        (recall * rarity).sum(1) / rarity.sum(1).clamp_min(1e-6),
        (precision * support).sum(1),
        (f1 * support).sum(1),
        (jaccard * support).sum(1),
        1 + mean_of_present(rows, logs[0]) / 3,
        1 + mean_of_present(rows, logs[1]) / 3,
        n_present / (present / (recall + 0.02)).sum(1).clamp_min(1e-6),
        _soft_minimum(recall, present),
        _soft_minimum(f1, present),
        1 - _soft_minimum(1 - f1, present),
        mean_of_present(rows, 1 - torch.exp(-3 * hits)),
        agreement / ((1 - spread) * (1 - balance) + 0.01).clamp_min(0.01).sqrt(),
        agreement / (1 - chance + 0.01),
        1 - distance / (2 * n),
        -(support * torch.log((actual + 0.5) / (predicted + 0.5))).sum(1),
    ]
    return torch.stack(qualities, 1), torch.stack([chance, spread], 1)


def constants(rows: TargetRows) -> Tensor:
    """`CONSTANTS` of sets, shape (n_points, n_constants)."""
    rarest = torch.where(rows.actual > 0, rows.actual, rows.n.unsqueeze(1)).amin(1)
    balance = (rows.actual / rows.n.unsqueeze(1)).square().sum(1)
    features = [1 / rows.n_present, balance, entropy(rows.actual, rows.n) / 3, rarest / rows.n, rows.n.log() / 5]
    return torch.stack(features, 1)


def _soft_minimum(values: Tensor, present: Tensor, steepness: float = 15.0) -> Tensor:
    """A mean of each set's values, in [0, 1], in which one that is lower by 0.2 counts twenty times as much."""
    weight = torch.exp(-steepness * values) * present
    return (values * weight).sum(1) / weight.sum(1).clamp_min(1e-6)
