"""Detections of models that are untrained, collapsed or saturated."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from autosurrogate.tasks._detection_generator import ABSENT, MIN_LOGIT
from autosurrogate.tasks._draw import Draw
from autosurrogate.tasks._regimes import COLLAPSED, MAX_SPREAD, MIN_SPREAD, UNTRAINED

PRIOR_LOGIT = -math.log(99)  # an untrained detector's that begins at a score of 0.01, as focal loss is used
KEPT, ONE_PLACE, ANCHORS = range(3)  # what untrained boxes are
N_COLLAPSES = 5
MAX_SATURATED = 12.0  # standard deviation of logits; in double precision a score is exactly 1 from a logit of 37 on


def in_regime(preds: Tensor, regime: str, draw: Draw) -> Tensor:
    """Boxes and logits of sets in a regime; padding stays.

    - untrained: scores nearly equal, around 0.5 or 0.01, in half of the sets with the same preference for some queries
      and classes in every image. A third of the sets keep their boxes; in a third all lie about one place; in a third
      a query's box is about the same in every image.
    - collapsed, in about a fifth of the sets each: all boxes at one place, the same detections in every image, all
      scores near 0, most near 1, one class for all.
    - saturated: logits far apart, in the same order.

    Args:
        preds: shape (n_sets, set_size, Q, 4 + C), of a trained model.
        regime: one of `REGIMES` but for that of a trained model.
        draw: source of randomness.
    """
    boxes, logits = preds[..., :4], preds[..., 4:]
    valid = (logits.amax(-1, keepdim=True) > MIN_LOGIT).to(preds.dtype)
    count = valid.sum((1, 2, 3), keepdim=True).clamp_min(1) * logits.shape[-1]
    mean = (logits * valid).sum((1, 2, 3), keepdim=True) / count
    centred = (logits - mean) * valid
    spread = (centred.square().sum((1, 2, 3), keepdim=True) / count).sqrt() + 1e-3
    if regime == UNTRAINED:
        boxes, logits = _untrained(boxes, centred, spread, valid, draw)
    elif regime == COLLAPSED:
        boxes, logits = _collapsed(boxes, logits, spread, valid, draw)
    else:
        logits = mean + centred / spread * draw.log_uniform(3.0, MAX_SATURATED, len(preds), 1, 1, 1)
    return torch.cat([boxes, torch.where(valid > 0, logits, ABSENT)], -1)


def _untrained(boxes: Tensor, centred: Tensor, spread: Tensor, valid: Tensor, draw: Draw) -> tuple[Tensor, Tensor]:
    n_sets, _, n_queries, n_classes = centred.shape
    scale = draw.log_uniform(MIN_SPREAD, MAX_SPREAD, n_sets, 1, 1, 1)
    preference = draw.normal(n_sets, 1, n_queries, 1) + draw.normal(n_sets, 1, 1, n_classes)
    strength = draw.log_uniform(0.1, 5.0, n_sets, 1, 1, 1) * (draw.uniform(n_sets, 1, 1, 1) < 0.5)
    level = torch.where(draw.uniform(n_sets, 1, 1, 1) < 0.5, PRIOR_LOGIT, 0.3 * draw.normal(n_sets, 1, 1, 1))
    logits = level + scale * (centred + strength * spread * preference)

    what = (3 * draw.uniform(n_sets, 1, 1, 1)).floor()
    first = boxes[:, :1]  # of the set's first image, a box for each query
    place = torch.where(what == ANCHORS, first, _mean_box(boxes, valid))
    own = draw.log_uniform(0.02, 0.5, n_sets, 1, 1, 1)
    return torch.where(what == KEPT, boxes, place + own * (boxes - place)), logits


def _collapsed(boxes: Tensor, logits: Tensor, spread: Tensor, valid: Tensor, draw: Draw) -> tuple[Tensor, Tensor]:
    n_sets, n_classes = len(logits), logits.shape[-1]
    what = (N_COLLAPSES * draw.uniform(n_sets, 1, 1, 1)).floor()
    one_place, alike, unsure, sure, one_class = (what == kind for kind in range(N_COLLAPSES))
    place = _mean_box(boxes, valid)
    own = draw.log_uniform(0.001, 0.1, n_sets, 1, 1, 1)
    in_first = alike & (valid[:, :1] > 0)
    boxes = torch.where(one_place, place + own * (boxes - place), torch.where(in_first, boxes[:, :1], boxes))
    logits = torch.where(in_first, logits[:, :1], logits)
    shift = draw.log_uniform(2.0, 8.0, n_sets, 1, 1, 1)
    highest = logits.amax((1, 2, 3), keepdim=True)
    logits = torch.where(unsure, logits - highest - shift, torch.where(sure, 0.2 * logits + shift, logits))
    entry = torch.zeros(n_sets, 1, 1, n_classes).scatter_(3, (draw.uniform(n_sets, 1, 1, 1) * n_classes).long(), 1.0)
    return boxes, torch.where(one_class, logits + shift * spread * entry, logits)


def _mean_box(boxes: Tensor, valid: Tensor) -> Tensor:
    """Of each set, shape (n_sets, 1, 1, 4)."""
    return (boxes * valid).sum((1, 2), keepdim=True) / valid.sum((1, 2), keepdim=True).clamp_min(1)
