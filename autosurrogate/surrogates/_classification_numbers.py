"""What metrics of classes in an order are computed from: distances of their numbers, and the first and the last."""

import torch
from torch import Tensor

from autosurrogate.surrogates._classification_rows import TargetRows, mean_of_present, sums_by_row
from autosurrogate.surrogates._layers import matmul

# Of one temperature, in the order of `distances`.
QUALITIES = (
    *("-distance", "-log distance", "-relative distance", "-squared distance", "near", "-capped distance"),
    *("-distance by class", "-worst distance", "linear kappa", "quadratic kappa", "correlation", "-distance of first"),
)
ENDS = ("first", "second", "last")
CONTEXT = (
    *("bias", "relative bias", "spread of predictions", "linear chance", "quadratic chance"),
    *(f"{count} of {end}" for end in ENDS for count in ("hits", "predictions")),
)
#: What depends on the targets alone.
CONSTANTS = ("spread of numbers", "mean number", "largest number", *(f"frequency of {end}" for end in ENDS))


def distances(probability: Tensor, target: Tensor, rows: TargetRows) -> tuple[Tensor, Tensor]:
    """`QUALITIES` and `CONTEXT` of sets, shapes (n_points, 12) and (n_points, 11).

    Args:
        probability: of each class at one temperature, shape (n, C).
        target: shape (n,).
        rows: of the targets.
    """
    n, dtype = rows.n, probability.dtype
    mean, spread = _mean_and_spread(rows)
    number = torch.arange(probability.size(1), dtype=dtype, device=probability.device)
    apart = (number - target.unsqueeze(1)).abs()
    kinds = [apart, torch.log1p(apart), apart.square(), (apart <= 1).to(dtype), 1 - torch.exp(-apart / 8)]
    kinds.append(number.expand_as(apart))
    expected = matmul(probability.unsqueeze(1), torch.stack(kinds, 2)).squeeze(1)  # of each example
    values = expected.view(rows.weight.size(0), -1, len(kinds)) * rows.weight.unsqueeze(2)
    distance, log_distance, square, near, capped, mean_predicted = (values.sum(1) / n.unsqueeze(1)).unbind(1)
    by_class = sums_by_row(rows, expected[:, 0])
    mean_of_class = by_class / rows.actual.clamp_min(1)

    of_sets = probability.view(rows.weight.size(0), rows.weight.size(1), -1)
    predicted = matmul(rows.weight.unsqueeze(1), of_sets).squeeze(1)
    variance = (predicted * (number - mean_predicted.unsqueeze(1)).square()).sum(1) / n
    # Of predictions and targets that are paired at random: an integral over the numbers of both distributions.
    # An exported program computes products in half precision under autocast.
    at_most = torch.zeros_like(predicted, dtype=dtype).scatter_add(1, rows.of_row, rows.actual).cumsum(1) / n.unsqueeze(
        1
    )
    predicted_at_most = predicted.cumsum(1) / n.unsqueeze(1)
    chance = (at_most + predicted_at_most - 2 * at_most * predicted_at_most).sum(1)
    square_chance = variance + spread.square() + (mean_predicted - mean).square()
    deviation = expected[:, 5].view(rows.weight.shape) - mean_predicted.unsqueeze(1)
    of_target = target.view(rows.weight.shape).to(dtype) - mean.unsqueeze(1)
    covariance = (deviation * of_target * rows.weight).sum(1) / n

    unit = spread.clamp_min(0.3)
    weight = torch.exp((mean_of_class / unit.unsqueeze(1)).clamp(max=20.0)) * rows.present
    worst = (mean_of_class * weight).sum(1) / weight.sum(1).clamp_min(1e-6)
    is_first = (rows.of_row == 0).to(dtype)
    qualities = [
        -torch.log1p(distance),
        -log_distance,
        -torch.log1p(distance / unit),
        -torch.log1p(square / unit.square()) / 2,
        near,
        -capped,
        -torch.log1p(mean_of_present(rows, mean_of_class)),
        -torch.log1p(worst / unit),
        1 - distance / (chance + 0.02),
        1 - square / (square_chance + 0.02),
        covariance / ((variance + 0.01) * (spread.square() + 0.01)).sqrt(),
        -torch.log1p((by_class * is_first).sum(1) / n),
    ]
    bias = mean_predicted - mean
    context = [
        bias / (1 + bias.abs()),
        bias / (unit + bias.abs()),
        torch.log(((variance + 0.01).sqrt() + 0.1) / (spread + 0.1)) / 2,
        torch.log1p(chance) / 3,
        torch.log1p(square_chance) / 6,
    ]
    hits = sums_by_row(rows, probability.gather(1, target.unsqueeze(1)).squeeze(1))
    for end in _ends(rows):
        context.append((hits * (rows.of_row == end)).sum(1) / n)
        context.append(predicted.gather(1, end).squeeze(1) / n)
    return torch.stack(qualities, 1), torch.stack(context, 1)


def constants_of_numbers(rows: TargetRows) -> Tensor:
    """`CONSTANTS` of sets, shape (n_points, 6)."""
    (mean, spread), ends = _mean_and_spread(rows), _ends(rows)
    largest = ends[2].squeeze(1).to(rows.n.dtype)
    features = [torch.log1p(spread) / 3, torch.log1p(mean) / 3, torch.log1p(largest) / 3]
    features += [((rows.of_row == end) * rows.actual).sum(1) / rows.n for end in ends]
    return torch.stack(features, 1)


def _mean_and_spread(rows: TargetRows) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of the targets' numbers, each shape (n_points,)."""
    number = rows.of_row.to(rows.n.dtype)
    mean = (number * rows.actual).sum(1) / rows.n
    variance = ((number - mean.unsqueeze(1)).square() * rows.actual).sum(1) / rows.n
    return mean, (variance + 1e-6).sqrt()


def _ends(rows: TargetRows) -> list[Tensor]:
    """The first two classes, and the largest that a set has as a target, each shape (n_points, 1)."""
    largest = (rows.of_row * (rows.actual > 0)).amax(1, keepdim=True)
    return [torch.zeros_like(largest), torch.ones_like(largest), largest]
