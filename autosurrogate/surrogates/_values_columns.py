"""Statistics of single columns of values: the worst, the best and the first one, and all values as of one column."""

import torch
from torch import Tensor

from autosurrogate.surrogates._layers import calmed, matmul
from autosurrogate.surrogates._values_errors import angle, in_units, shares_within, units
from autosurrogate.surrogates._values_order import N_ZONES, zones


def columns(preds: Tensor, target: Tensor, n_zones: int = N_ZONES) -> Tensor:
    """The qualities "columns", shape (n_points, 1, n_features)."""
    core = _core(preds, target)
    error = (preds - target) / units(target)[1]
    first = matmul(zones(target[:, :1], n_zones), error[:, :1].abs().unsqueeze(3)).squeeze(3)
    preds, target = preds.flatten(1).unsqueeze(1), target.flatten(1).unsqueeze(1)
    size = preds - target
    spread = units(target)[1]
    of_all = in_units(size, spread)
    of_all += [
        _core(preds, target)[:, :, 3],
        -angle(preds / spread, target / spread).log(),
    ]
    return torch.cat(
        [
            core.amin(1, keepdim=True),
            core.amax(1, keepdim=True),
            core[:, :1],
            -(first.amax(2, keepdim=True) + 1e-3).log(),
            torch.stack(of_all, 2),
        ],
        2,
    )


def _core(preds: Tensor, target: Tensor) -> Tensor:
    mean, spread = units(target)
    error, truth = (preds - target) / spread, (target - mean) / spread
    centred = error + truth
    centred = centred - centred.mean(2, keepdim=True)
    own_spread = (centred.square().mean(2, keepdim=True) + 1e-12).sqrt()
    normalised = calmed(centred / own_spread, own_spread)
    size = error.abs()
    return torch.stack(
        [
            -(size.mean(2) + 1e-3).log(),
            -(error.square().mean(2) + 1e-6).log() / 2,
            -(size.amax(2) + 1e-3).log(),
            (normalised * truth).mean(2) / (truth.square().mean(2) + 1e-5).sqrt(),
            shares_within(size, [0.25])[:, :, 0],
        ],
        2,
    )
