"""Groups of statistics of values: what metrics of regression are computed from.

Each function takes values of columns, shape (n_points, D, n), and returns qualities, which rise as the predictions get
better, and context, which has any effect: two tensors (n_points, D, n_features), in the order of their names.
"""

import torch
from torch import Tensor

from autosurrogate.surrogates._layers import calmed, matmul
from autosurrogate.surrogates._values_errors import angle, in_units, shares_within, symmetric_log, units
from autosurrogate.surrogates._values_order import (
    N_ZONES,
    about_quantiles,
    correlation,
    distribution,
    quantile,
    ranks,
    share_found,
    zones,
)

QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9, 0.97)  # of absolute errors
SIGNED_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
BOUNDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0)  # of absolute errors, in spreads of the target
RELATIVE_BOUNDS = (0.05, 0.1, 0.2, 0.5)  # of absolute errors, relative to the size of the target

_CORE = ("mean error", "squared error", "largest error", "correlation", "within 0.25")
_ZONES = [f"error in quarter {i + 1}" for i in range(N_ZONES)]
#: Group to the names of its qualities.
QUALITIES: dict[str, list[str]] = {
    "errors": [
        "mean error", "geometric mean error", "geometric mean error from 0.03", "squared error", "asinh squared error",
        "spread of errors", "mean excess", "mean shortfall", "offset", "largest error",
        *(f"error {q:g}" for q in QUANTILES), *(f"within {b:g}" for b in BOUNDS),
    ],
    "signed": ["balance", "worst quarter", *_ZONES],
    "relative": [
        "relative error", "relative error from 0.1", "symmetric error", "error of logarithms", "error of ratios",
        "error to mean size", "angle", "ratio of means", "same sign", "same side of the mean", "cosine of error",
        "mean error in units", "squared error in units", "largest error in units", "within 0.1 units", "within 1 unit",
        "median relative error", "relative error 0.9",
        *(f"within {b:g} of target" for b in RELATIVE_BOUNDS),
    ],
    "order": [
        "correlation", "concordance", "rank correlation", "largest tenth", "largest quarter", "smallest quarter",
        "distance of distributions", "ratio of spreads",
    ],
    "columns": [
        *(f"{which} {name}" for which in ("worst", "best", "first") for name in _CORE), "first worst quarter",
        "all mean error in units", "all squared error in units", "all largest error in units",
        "all correlation", "all angle",
    ],
}  # fmt: skip
#: Group to the names of its context; "target" belongs to every choice of groups.
CONTEXT: dict[str, list[str]] = {
    "errors": [],
    "signed": [
        "mean signed error", "share above", *(f"signed error {q:g}" for q in SIGNED_QUANTILES),
        *(f"signed {name}" for name in _ZONES),
    ],
    "relative": ["signed ratio of means", "mean log ratio"],
    "order": ["log ratio of spreads"],
    "columns": [],
    "target": ["log spread", "place of zero", "mean deviation", "log size", "1 / n"],
}  # fmt: skip


def errors(preds: Tensor, target: Tensor, quantiles: Tensor, bounds: list[float]) -> Tensor:
    """The qualities "errors"."""
    error = (preds - target) / units(target)[1]
    size, offset, squared = error.abs(), error.mean(2), error.square().mean(2)
    mean = size.mean(2)
    ordered = size.sort(2)[0]
    about = about_quantiles(ordered, quantiles, 0.03)
    logs = [
        mean + 1e-3,
        (size + 1e-3).log().mean(2).exp(),
        (size + 0.03).log().mean(2).exp(),
        (squared + 1e-6).sqrt(),
        torch.asinh(squared).exp(),
        ((error - offset.unsqueeze(2)).square().mean(2) + 1e-6).sqrt(),
        (mean + offset) / 2 + 1e-3,
        (mean - offset) / 2 + 1e-3,
        (offset.square() + 1e-4).sqrt(),
        ordered[:, :, -1] + 1e-3,
    ]
    return torch.cat([-torch.stack(logs, 2).log(), -(about + 1e-3).log(), shares_within(size, bounds)], 2)


def signed(preds: Tensor, target: Tensor, quantiles: Tensor, n_zones: int = N_ZONES) -> tuple[Tensor, Tensor]:
    """The qualities and the context "signed"."""
    error = (preds - target) / units(target)[1]
    of_quarters = zones(target, n_zones)
    of_zones, signed_of_zones = (matmul(of_quarters, each.unsqueeze(3)).squeeze(3) for each in (error.abs(), error))
    of_zones = -(of_zones + 1e-3).log()
    above = torch.sigmoid(error / 0.05).mean(2, keepdim=True)
    balance = -((above - 0.5).square() + 1e-4).sqrt()
    qualities = torch.cat([balance, of_zones.amin(2, keepdim=True), of_zones], 2)
    about = about_quantiles(error.sort(2)[0], quantiles, 0.03)
    return qualities, torch.cat(
        [torch.asinh(error.mean(2, keepdim=True)), above, torch.asinh(torch.cat([about, signed_of_zones], 2))], 2
    )


def relative(preds: Tensor, target: Tensor, bounds: list[float]) -> tuple[Tensor, Tensor]:
    """The qualities and the context "relative"."""
    mean, spread = units(target)
    guess, truth = preds / spread, target / spread
    error = guess - truth
    size, of_truth = error.abs(), truth.abs()
    to_target = size / (of_truth + 1e-4)
    ordered = to_target.sort(2)[0]
    ratio = (guess.abs() + 0.05).log() - (of_truth + 0.05).log()
    of_means = truth.mean(2) / (truth.mean(2).square() + 1e-4) * error.mean(2)
    absolute = preds - target
    logs = [
        to_target.mean(2) + 1e-3,
        (size / (of_truth + 0.1)).mean(2) + 1e-3,
        (size / (guess.abs() + of_truth + 1e-4)).mean(2) + 1e-3,
        ((symmetric_log(preds) - symmetric_log(target)).square().mean(2) + 1e-8).sqrt(),
        (ratio.square().mean(2) + 1e-6).sqrt(),
        size.mean(2) / (of_truth.mean(2) + 1e-4) + 1e-3,
        angle(guess, truth),
        (of_means.square() + 1e-4).sqrt(),
    ]
    of_units, within_units = in_units(absolute, spread), shares_within(absolute.abs(), [0.1, 1.0])
    shares = [
        torch.sigmoid(truth.sign() * guess / 0.1).mean(2),
        torch.sigmoid((target - mean).sign() * (guess - mean / spread) / 0.1).mean(2),
        absolute.cos().mean(2),
        of_units[0],
        of_units[1],
        of_units[2],
        within_units[:, :, 0],
        within_units[:, :, 1],
        -(quantile(ordered, 0.5) + 1e-3).log(),
        -(quantile(ordered, 0.9) + 1e-3).log(),
    ]
    return (
        torch.cat([-torch.stack(logs, 2).log(), torch.stack(shares, 2), shares_within(to_target, bounds)], 2),
        torch.stack([torch.asinh(of_means), ratio.mean(2)], 2),
    )


def order(preds: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """The qualities and the context "order"."""
    mean, spread = units(target)
    guess, truth = (preds - mean) / spread, (target - mean) / spread
    centred = guess - guess.mean(2, keepdim=True)
    variance, of_truth = centred.square().mean(2), truth.square().mean(2)
    own_spread = (variance + 1e-12).sqrt().unsqueeze(2)
    normalised = calmed(centred / own_spread, own_spread)
    ordered, true_ranks = normalised.sort(2)[0], ranks(truth)
    offset = (guess - truth).mean(2)
    ratio = ((variance + 3e-3).log() - (of_truth + 3e-3).log()) / 2
    qualities = [
        (normalised * truth).mean(2) / (of_truth + 1e-5).sqrt(),
        2 * (centred * truth).mean(2) / (variance + of_truth + offset.square() + 1e-6),
        correlation(distribution(normalised, ordered, 24), true_ranks),
    ]
    for fraction in (0.1, 0.25):
        qualities.append(share_found(normalised, ordered, true_ranks, fraction))
    qualities.append(share_found(-normalised, -ordered.flip(2), 1 - true_ranks, 0.25))
    distance = (guess.sort(2)[0] - truth.sort(2)[0]).abs().mean(2)
    qualities += [-(distance + 1e-3).log(), -(ratio.square() + 1e-4).sqrt()]
    return torch.stack(qualities, 2), ratio.unsqueeze(2)


def of_target(target: Tensor) -> Tensor:
    """The context "target"."""
    mean, spread = units(target)
    truth = target / spread
    deviation = ((target - mean) / spread).abs()
    log_spread = spread.squeeze(2).log()
    return torch.stack(
        [
            log_spread / 3,
            torch.asinh(truth.mean(2)),
            (deviation + 1e-3).log().mean(2),
            (truth.abs() + 1e-3).log().mean(2),
            torch.ones_like(log_spread) / target.size(2),
        ],
        2,
    )
