"""Values: regression."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from autosurrogate.errors import OutputsError
from autosurrogate.examples import Examples
from autosurrogate.tasks import _regimes
from autosurrogate.tasks._base import Task, expect_dtype, expect_shape
from autosurrogate.tasks._draw import Draw
from autosurrogate.tasks._perturbations import reordered

MAX_COLUMNS = 4
MIN_GENERATED = 16  # examples of a set; of smaller sets, the others are discarded
MIN_SPREAD, MAX_SPREAD = 0.7, 1.4  # of most generated targets
MIN_UNIT, MAX_UNIT = 1e-3, 1e6  # of the others, about
MAX_DISTANCE = 300.0  # of the mean from 0, in spreads
WIDE, FAR, POSITIVE, WHOLE = 0.2, 0.1, 0.25, 0.1  # fractions of the calls, each by itself


class Values(Task):
    """preds: values (n, D); target: values (n, D). A column is a quantity of its own."""

    name = "values"
    regimes = (_regimes.UNTRAINED, _regimes.COLLAPSED)
    views: ClassVar[Mapping[str, Mapping[str, tuple[Any, Any]]]] = {
        "values": {"sample": (np.ndarray, np.ndarray), "set": (np.ndarray, np.ndarray)},
    }

    def generate(self, severity: Tensor, generator: torch.Generator, set_size: int = 1, view: str = "") -> Examples:
        """Sets of predictions that follow their targets closely, not at all, or the wrong way round, by the severity.

        Each set has a random distribution: even, skewed, with two modes, or of few values. The mean and the spread
        are random in each call: the spread from 0.7 to 1.4, in a fifth of the calls about 0.001 to a million; the mean
        mostly within some spreads of 0, in a tenth of the calls up to 300 spreads away. In a quarter of the calls all
        values are positive, as amounts and counts are. In a tenth the targets are whole numbers with a spread of 0.7 to
        40. Predictions err by noise of any shape, by a spread of their own, by an offset, and by a bent scale, in
        random proportions. The coefficient of determination is mostly above -1.
        """
        return _generate(severity, Draw(generator), set_size)

    def in_regime(self, regime: str, examples: Examples, set_size: int, generator: torch.Generator) -> Examples:
        """Predictions that are nearly constant, around the mean target or around 0, or exactly so."""
        sets = (-1, set_size, examples.preds.shape[1])
        changed = _in_regime(examples.preds.view(sets), examples.target.view(sets), regime, Draw(generator))
        return examples.with_preds(changed.flatten(0, 1))

    def decode(self, examples: Examples, view: str) -> tuple[Any, Any]:
        """Arrays of shape (n, D)."""
        return examples.preds.double().cpu().numpy(), examples.target.double().cpu().numpy()

    def unit(self, examples: Examples) -> Tensor:
        """The standard deviation of each column of the target, (D,); 1 where that is 0 but for rounding."""
        target = examples.target.double()
        spread = target.var(0, correction=0).sqrt()
        return torch.where(spread > 1e-6 * target.mean(0).abs(), spread, 1.0).float()

    def traits(self, examples: Examples, set_size: int) -> Mapping[str, Tensor]:
        """None: how far values spread is a matter of their unit."""
        return {}

    def perturbations(self, examples: Examples, generator: torch.Generator) -> Mapping[str, Examples]:
        """Another unit and another zero of the values, and another order of the columns.

        Factor and offset are powers of two, and the offset is added in float64: ties, order and the distances of values
        stay exactly as they are.
        """
        preds, target = examples.preds, examples.target
        offset = (4 * self.unit(examples).double()).log2().round().exp2()
        return {
            "the unit of the values": Examples(4 * preds, 4 * target, examples.extras),
            "where the values' zero is": Examples(preds.double() + offset, target.double() + offset, examples.extras),
            "which column is which": reordered(examples, 1, generator),
        }

    def regular_loss(self, examples: Examples) -> Tensor:
        """Squared error, the mean over the columns."""
        return (examples.preds.float() - examples.target.float()).square().mean(-1)

    def check(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Preds (n, D) floating point; target of the same shape, finite numbers."""
        preds, target = arrays["preds"], arrays["target"]
        expect_shape("preds", preds, "(n, n_columns)", 2)
        expect_dtype("preds", preds, np.floating)
        expect_dtype("target", target, np.number)
        if target.shape != preds.shape:
            raise OutputsError(f"target must have the shape of preds {preds.shape}, got {target.shape}")
        for name, array in (("preds", preds), ("target", target)):
            wrong = np.argwhere(~np.isfinite(array))
            if len(wrong):
                row, column = wrong[0]
                raise OutputsError(f"{name} holds {array[row, column]} in row {row}; expected finite values")


def _generate(severity: Tensor, draw: Draw, set_size: int) -> Examples:
    several = draw.uniform(1).item() < 0.3 or set_size == 1  # a metric of one number is of little use
    n_columns = int(2 + (MAX_COLUMNS - 1) * draw.uniform(1).item()) if several else 1
    n = max(set_size, MIN_GENERATED)
    target = _quantities(len(severity), n, n_columns, draw)
    preds = _predictions(target, 0.02 + 0.98 * severity[:, None, None], draw)
    # The mean and spread of a set differ a little from those of all the data it is drawn from.
    away = (0.1 + n**-0.5) * draw.normal(len(severity), 1, n_columns)
    wider = ((0.1 + 0.7 * n**-0.5) * draw.normal(len(severity), 1, n_columns)).exp()
    spread = draw.log_uniform(MIN_SPREAD, MAX_SPREAD, n_columns)
    centre = 3.0 * draw.normal(n_columns)
    wide, far, positive, whole = (draw.uniform(4) < torch.tensor([WIDE, FAR, POSITIVE, WHOLE])).tolist()
    if wide:
        unit = draw.log_uniform(MIN_UNIT, MAX_UNIT, 1)  # values of one example are of similar size
        spread = spread * unit * (draw.log_uniform(0.1, 10.0, n_columns) if set_size > 1 else 1.0)
    if far:
        centre = centre.sign() * draw.log_uniform(10.0, MAX_DISTANCE, n_columns)
    preds, target = (centre + away + wider * values for values in (preds, target))
    if positive:
        preds, target = _positive(preds, target, draw)
    if whole:
        spread = draw.log_uniform(1.0, 30.0, 1) * spread
    preds, target = spread * preds, spread * target
    if whole:
        target = _whole(target)
    return Examples(preds[:, :set_size].flatten(0, 1), target[:, :set_size].flatten(0, 1))


def _whole(target: Tensor) -> Tensor:
    """Whole numbers, but in sets and columns that would lose much of their spread by it."""
    rounded = target.round()
    keeps_spread = rounded.std(1, correction=0, keepdim=True) > 0.7 * target.std(1, correction=0, keepdim=True)
    return torch.where(keeps_spread, rounded, target)


def _positive(preds: Tensor, target: Tensor, draw: Draw) -> tuple[Tensor, Tensor]:
    """The values, moved so that the smallest target of each set and column is just above 0; predictions, too.

    A prediction that would lie below a small value is moved into the range from 0 to it, in the same order.
    """
    smallest = 0.02 + 0.5 * draw.uniform(target.shape[0], 1, target.shape[2])
    offset = smallest - target.amin(1, keepdim=True)
    preds, target = preds + offset, target + offset
    return torch.where(preds < smallest, smallest * (preds / smallest - 1).clamp(-10, 0).exp(), preds), target


def _quantities(n_sets: int, set_size: int, n_columns: int, draw: Draw) -> Tensor:
    """Standardised targets (n_sets, set_size, n_columns), of a distribution drawn for each set and column."""
    per_value, per_set = (n_sets, set_size, n_columns), (n_sets, 1, n_columns)
    normal = draw.normal(*per_value)
    sign = torch.where(draw.uniform(*per_set) < 0.5, -1.0, 1.0)
    side = 0.2 + 0.6 * draw.uniform(*per_set)
    humps = normal * side + torch.where(draw.uniform(*per_value) < draw.uniform(*per_set), 1.5, -1.5)
    skew = 0.3 + 0.7 * draw.uniform(*per_set)
    levels = (0.8 + 2.2 * draw.uniform(*per_set)) * normal
    skewed = sign * (skew * normal).exp()
    kinds = torch.stack([normal, normal, draw.uniform(*per_value), skewed, humps, levels.round()])
    kind = (len(kinds) * draw.uniform(*per_set)).long()
    return _standardised(kinds.gather(0, kind.expand(per_value)[None])[0])


def _predictions(target: Tensor, severity: Tensor, draw: Draw) -> Tensor:
    """Predictions of standardised targets (n_sets, set_size, n_columns), at severities (n_sets, 1, 1)."""
    n_sets, _, n_columns = target.shape
    per_set = (n_sets, 1, n_columns)
    bend = 0.05 + 1.5 * draw.uniform(*per_set)
    bent = torch.where(draw.uniform(*per_set) < 0.5, (bend * target).tanh(), (bend * target).clamp(-4, 4).sinh())
    amount = severity * draw.uniform(*per_set) * (draw.uniform(*per_set) < 0.4)
    seen = _standardised((1 - amount) * target + amount * _standardised(bent))
    angle = severity * torch.pi * (0.1 + 0.6 * draw.uniform(*per_set))
    followed = _standardised(angle.cos() * seen + angle.sin() * _noise(target, draw))
    # A model that errs much is best off near the mean; one that is hardly trained is nearer, or anywhere.
    spread = 1 + (angle.cos().clamp_min(0.05) - 1) * draw.uniform(*per_set)
    nearer = 3.0 * draw.uniform(*per_set) * (draw.uniform(*per_set) < 0.4)
    spread = spread * (severity * (0.7 * draw.normal(*per_set) - nearer)).exp()
    offset = severity * draw.normal(*per_set) * draw.uniform(*per_set)
    error = offset + spread * followed - target
    most = 1.2 + draw.uniform(*per_set)
    return target + error * (most / error.square().mean(1, keepdim=True).clamp_min(1e-9)).clamp_max(1).sqrt()


def _in_regime(preds: Tensor, target: Tensor, regime: str, draw: Draw) -> Tensor:
    """Predictions of sets in a regime.

    - untrained: nearly constant, and correlated with the target as those of a trained model are.
    - collapsed: the mean target, or another constant.

    Args:
        preds: shape (n_sets, set_size, n_columns), of a trained model.
        target: of the same shape.
        regime: "untrained" or "collapsed".
        draw: source of randomness.
    """
    n_sets, _, n_columns = target.shape
    mean = target.mean(1, keepdim=True)
    spread = (target - mean).square().mean(1, keepdim=True).sqrt()
    away = draw.log_uniform(1e-3, 1.0, n_sets, 1, 1) * draw.normal(n_sets, 1, n_columns)
    kind = draw.uniform(n_sets, 1, 1)
    centre = torch.where(kind < 0.1, 0.0, mean) + torch.where(kind < 0.8, away * spread, 0.0)
    if regime == _regimes.COLLAPSED:
        return centre.expand_as(target)
    scale = draw.log_uniform(_regimes.MIN_SPREAD, _regimes.MAX_SPREAD, n_sets, 1, 1)
    return centre + scale * spread * _standardised(preds)


def _noise(target: Tensor, draw: Draw) -> Tensor:
    """Standardised noise of the shape of `target`, of a distribution drawn for each set, perhaps wider at one end."""
    per_value, per_set = target.shape, (target.shape[0], 1, target.shape[2])
    normal = draw.normal(*per_value)
    heavy = normal * (1.2 * draw.uniform(*per_set) * draw.normal(*per_value)).exp()
    few = normal * torch.where(draw.uniform(*per_value) < 0.3 * draw.uniform(*per_set), 1.0, 0.1)
    skewed = torch.where(draw.uniform(*per_set) < 0.5, -1.0, 1.0) * (draw.exponential(*per_value) - 1)
    kinds = torch.stack([normal, heavy, few, skewed])
    kind = (len(kinds) * draw.uniform(*per_set)).long()
    noise = kinds.gather(0, kind.expand(per_value)[None])[0]
    return _standardised(noise * (0.5 * draw.normal(*per_set) * target).clamp(-3, 3).exp())


def _standardised(values: Tensor) -> Tensor:
    """Mean 0 and standard deviation 1 along the second axis."""
    centred = values - values.mean(1, keepdim=True)
    return centred / centred.square().mean(1, keepdim=True).sqrt().clamp_min(1e-6)


TASK = Values()
