"""What metrics of probabilities are computed from: proper scores, and how sure predictions are against how right."""

import torch
from torch import Tensor

from autosurrogate.surrogates._classification_rows import TargetRows, mean_of_present, sums_by_row

SCORES = ("probability", "log probability", "brier", "spherical", "probability by class", "brier by class")
CONTEXT_OF_SCORES = ("entropy", "confidence")
CALIBRATION = (
    *("right of surest", "right of surer", "right of less sure", "right of least sure"),
    *("-gap of quantiles", "-largest gap of quantiles", "-gap of bins", "-largest gap of bins", "-squared gap of bins"),
)
CONTEXT_OF_CALIBRATION = (
    *("surest", "surer", "less sure", "least sure"),
    *("sure when right", "sure when wrong", "overconfidence"),
)
N_BINS = 10  # as most calibration errors have
N_PARTS = 4  # of the examples, from the surest to the least sure


def proper_scores(logits: Tensor, target: Tensor, rows: TargetRows) -> tuple[Tensor, Tensor]:
    """`SCORES` and `CONTEXT_OF_SCORES` of sets, shapes (n_points, 6) and (n_points, 2).

    Args:
        logits: finite, shape (n, C).
        target: shape (n,).
        rows: of the targets.
    """
    log_probability = logits.log_softmax(1)
    probability = log_probability.exp()
    log_of_target = log_probability.gather(1, target.unsqueeze(1)).squeeze(1)
    of_target, square = log_of_target.exp(), probability.square().sum(1)
    brier = (1 + 2 * of_target - square) / 2
    entropy = -(probability * log_probability.clamp_min(-30.0)).sum(1)
    of_examples = [
        of_target,
        -torch.log1p(-log_of_target) / 2,
        brier,
        of_target / square.clamp_min(1e-12).sqrt(),
        entropy / 3,
        probability.amax(1),
    ]
    values = torch.stack(of_examples, 1).view(rows.weight.size(0), -1, 6)
    means = (values * rows.weight.unsqueeze(2)).sum(1) / rows.n.unsqueeze(1)
    at_least_one = rows.actual.clamp_min(1)
    by_class = [mean_of_present(rows, sums_by_row(rows, x) / at_least_one) for x in (of_target, brier)]
    return torch.cat([means[:, :4], torch.stack(by_class, 1)], 1), means[:, 4:]


def calibration(
    logits: Tensor, right: Tensor, rows: TargetRows, n_bins: int = N_BINS, n_parts: int = N_PARTS
) -> tuple[Tensor, Tensor]:
    """`CALIBRATION` and `CONTEXT_OF_CALIBRATION` of sets, shapes (n_points, 9) and (n_points, 7).

    Args:
        logits: finite, shape (n, C).
        right: whether the prediction is right, in [0, 1], shape (n,).
        rows: of the targets.
        n_bins: bins of confidence, of equal counts and of equal widths.
        n_parts: parts of the examples, from the surest to the least sure.
    """
    weight, n = rows.weight, rows.n
    sure, hit = logits.softmax(1).amax(1).view(weight.shape) * weight, right.view(weight.shape) * weight
    place = _fraction_of_surer(sure.detach(), weight)
    counts, hits, sums = _sums(place, n_parts, weight, hit, sure)
    rates, levels = hits / counts.clamp_min(1), sums / counts.clamp_min(1)
    counts, hits, sums = _sums(place, n_bins, weight, hit, sure)
    gaps = (sums - hits).abs()
    qualities = [-gaps.sum(1) / n, -(gaps / counts.clamp_min(1)).amax(1)]
    counts, hits, sums = _sums(sure.detach(), n_bins, weight, hit, sure)
    gaps = (sums - hits).abs()
    mean_gaps = gaps / counts.clamp_min(1)
    qualities += [-gaps.sum(1) / n, -mean_gaps.amax(1), -(gaps * mean_gaps).sum(1) / n]
    wrong = weight - hit
    context = [
        (sure * hit).sum(1) / hit.sum(1).clamp_min(0.1),
        (sure * wrong).sum(1) / wrong.sum(1).clamp_min(0.1),
        (sums - hits).clamp_min(0).sum(1) / n,
    ]
    return torch.cat([rates, torch.stack(qualities, 1)], 1), torch.cat([levels, torch.stack(context, 1)], 1)


def _fraction_of_surer(sure: Tensor, weight: Tensor) -> Tensor:
    """Which fraction of the examples with a target has larger numbers, equal ones half, shape (n_points, set_size)."""
    last = torch.where(weight > 0, -sure, torch.full_like(sure, float("inf"))).contiguous()
    ordered = last.sort(1)[0]
    n_larger, n_as_large = torch.searchsorted(ordered, last), torch.searchsorted(ordered, last, right=True)
    return (n_larger + n_as_large).to(sure.dtype) / (2 * weight.sum(1, keepdim=True).clamp_min(1))


def _sums(places: Tensor, n_bins: int, weight: Tensor, hit: Tensor, sure: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The sums of weights, hits and confidences in bins of [0, 1], each shape (n_points, n_bins)."""
    bins = (places * n_bins).to(torch.int64).clamp(0, n_bins - 1)
    empty = torch.zeros((weight.size(0), n_bins), dtype=weight.dtype, device=weight.device)
    return empty.scatter_add(1, bins, weight), empty.scatter_add(1, bins, hit), empty.scatter_add(1, bins, sure)
