"""Regimes of generated predictions: what models give before training has begun, and where it has gone wrong.

A generator makes predictions of a trained model, of every quality. A part of the points is then changed to another
regime. The targets stay, and so does nearly all of the order of logits, so that early outputs of every quality occur: a
model whose logits are nearly equal may rank well already.
"""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor

from autosurrogate.tasks._draw import Draw

TRAINED, UNTRAINED, COLLAPSED, SATURATED = REGIMES = ("trained", "untrained", "collapsed", "saturated")
FRACTIONS = {UNTRAINED: 0.3, COLLAPSED: 0.06, SATURATED: 0.06}  # of the points; all others are of a trained model

MIN_SPREAD, MAX_SPREAD = 1e-3, 0.3  # of untrained logits, relative to those of a trained model
SATURATED_LOGIT = 50.0


def assign_regimes(n_points: int, regimes: Collection[str], generator: torch.Generator) -> Tensor:
    """The regime of each point as a number in `REGIMES`, shape (n_points,), int64.

    Args:
        n_points: their number.
        regimes: those that the task has, besides that of a trained model.
        generator: source of all randomness, on the CPU.
    """
    fractions = [FRACTIONS.get(regime, 0.0) if regime in regimes else 0.0 for regime in REGIMES]
    fractions[0] = 1 - sum(fractions)
    return Draw(generator).categorical(torch.tensor(fractions), n_points)


def with_noise(logits: Tensor, draw: Draw) -> Tensor:
    """Logits of sets; in half of them each example has noise that says nothing of the target, in all strengths.

    Args:
        logits: shape (n_sets, set_size, n_entries), of a trained model; -inf stays.
        draw: source of randomness.
    """
    n_sets, finite = len(logits), logits.isfinite()
    spread = torch.where(finite, logits, 0.0).flatten(1).std(1).view(-1, 1, 1)
    strength = draw.log_uniform(0.1, 5.0, n_sets, 1, 1) * (draw.uniform(n_sets, 1, 1) < 0.5)
    return logits + strength * spread * draw.normal(*logits.shape)


def of_logits(logits: Tensor, regime: str, draw: Draw) -> Tensor:
    """Logits of sets in a regime.

    - untrained: nearly equal, in half of the sets with the same preference for some entries in every example, in one
      of eight rounded so that many are exactly equal.
    - collapsed: the same entry is preferred in nearly every example.
    - saturated: up to fifty apart.

    Args:
        logits: shape (n_sets, set_size, n_entries), of a trained model; -inf stays.
        regime: one of `REGIMES`.
        draw: source of randomness.
    """
    n_sets, _, n_entries = logits.shape
    finite = logits.isfinite()
    logits = torch.where(finite, logits, 0.0)
    centred = logits - logits.sum(-1, keepdim=True) / finite.sum(-1, keepdim=True).clamp_min(1)
    spread = (centred.square() * finite).sum((1, 2), keepdim=True).div(finite.sum((1, 2), keepdim=True)).sqrt() + 1e-6
    if regime == UNTRAINED:
        scale = draw.log_uniform(MIN_SPREAD, MAX_SPREAD, n_sets, 1, 1)
        bias = draw.log_uniform(0.1, 5.0, n_sets, 1, 1) * (draw.uniform(n_sets, 1, 1) < 0.5)
        changed = scale * (centred + bias * spread * draw.normal(n_sets, 1, n_entries))
        step = scale * spread * draw.log_uniform(0.3, 3.0, n_sets, 1, 1)
        changed = torch.where(draw.uniform(n_sets, 1, 1) < 1 / 8, (changed / step).round() * step, changed)
        changed = changed + draw.normal(n_sets, 1, 1)
    elif regime == COLLAPSED:
        entry = torch.zeros(n_sets, 1, n_entries).scatter_(2, (draw.uniform(n_sets, 1, 1) * n_entries).long(), 1.0)
        changed = draw.log_uniform(0.03, 1.0, n_sets, 1, 1) * (
            centred + draw.log_uniform(1.0, 8.0, n_sets, 1, 1) * spread * entry
        )
    elif regime == SATURATED:
        changed = centred / spread * SATURATED_LOGIT * draw.log_uniform(0.2, 1.0, n_sets, 1, 1)
    else:
        changed = logits
    return torch.where(finite, changed, -torch.inf)
