"""Which true box each detection is paired with, and how far it is a hit: what `Outcomes` is computed from."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from autosurrogate.surrogates._detection_matching import DetectionBatch, close_queries, of_queries, unclaimed
from autosurrogate.surrogates._layers import calmed
from autosurrogate.tasks._boxes import overlaps

FAR = 5e3  # margins from here on are those of a class that no query is of


class Pairs(NamedTuple):
    """Of n images with Q queries and M true boxes. Who is paired with whom has no gradient, how well they fit has.

    Attributes:
        all_iou: shape (n, Q, M), of all pairs, without gradient; 0 for padding.
        all_same: shape (n, Q, M), the probability of the true box's class, without gradient; 0 for padding.
        own: shape (n, Q), the true box of each query by overlap and class.
        own_iou: shape (n, Q), the overlap with it.
        own_same: shape (n, Q), the probability of its class; 0 where all pad.
        any_iou: shape (n, Q), the overlap with the true box that fits best, of any class.
        hits: shape (n, Q, V), how far the query is a hit in V ways of matching.
        order: shape (n, Q), scores that show the order alone: relative to those of the set.
        gates: shape (n, Q, G), how far the score is above each of G scores; 0 for padding.
        probability: shape (n, Q, C), of each class; 0 for padding.
    """

    all_iou: Tensor
    all_same: Tensor
    own: Tensor
    own_iou: Tensor
    own_same: Tensor
    any_iou: Tensor
    hits: Tensor
    order: Tensor
    gates: Tensor
    probability: Tensor


def pairs_of(
    batch: DetectionBatch,
    set_size: int,
    temperature: float,
    gates: list[float],
    thresholds: list[float],
    thresholds_of_any: list[float],
) -> Pairs:
    """Match queries and true boxes, the best scored query first.

    Args:
        batch: of images.
        set_size: images of each point.
        temperature: of scores and classes, and, tenfold smaller, of IoU. It is relative to the set's spread of scores
            or its mean margin of classes where that is less than 1, so that order is seen at any scale.
        gates: scores in (0, 1).
        thresholds: of IoU, for matches of the same class.
        thresholds_of_any: of IoU, for matches of any class; these come last.
    """
    sharp = 0.1 * temperature
    best = batch.logits.amax(2)
    spread, order = _order(best, batch.query_mask, set_size)
    probability = _probability(batch.logits, batch.query_mask, set_size, temperature)

    fixed = probability.detach()
    mask = batch.query_mask.unsqueeze(2) * batch.target_mask.unsqueeze(1)
    all_iou = overlaps(batch.boxes.detach(), batch.true_boxes)[0] * mask
    all_same = fixed.gather(2, batch.classes.unsqueeze(1).expand(-1, fixed.size(1), -1)) * mask
    padding = (1 - batch.target_mask).unsqueeze(1)
    own, any_box = (all_iou * (all_same + 1e-3) - padding).argmax(2), (all_iou - padding).argmax(2)
    free = _free(all_iou, all_same, mask, order.detach(), sharp, temperature, thresholds, thresholds_of_any)

    own_iou = aligned_iou(batch.boxes, of_true_boxes(batch.true_boxes, own))
    any_iou = aligned_iou(batch.boxes, of_true_boxes(batch.true_boxes, any_box))
    valid = batch.query_mask * (batch.target_mask.sum(1, keepdim=True) > 0).to(best.dtype)
    own_same = probability.gather(2, batch.classes.gather(1, own).unsqueeze(2)).squeeze(2) * valid
    own_iou, any_iou = own_iou * valid, any_iou * valid
    fits: list[Tensor] = []
    for threshold in thresholds:
        fits.append(torch.sigmoid((own_iou - threshold) / sharp) * own_same)
    for threshold in thresholds_of_any:
        fits.append(torch.sigmoid((any_iou - threshold) / sharp) * valid)

    logits = torch.tensor([math.log(g / (1 - g)) for g in gates], dtype=best.dtype, device=best.device)
    size = spread.clamp(max=1.0).unsqueeze(2)
    distance = calmed((best.unsqueeze(2) - logits) / size, size)
    of_gates = torch.sigmoid(distance / temperature) * batch.query_mask.unsqueeze(2)
    hits = torch.stack(fits, 2) * free
    return Pairs(all_iou, all_same, own, own_iou, own_same, any_iou, hits, order, of_gates, probability)


def of_sets(values: Tensor, set_size: int) -> Tensor:
    """Sums over the images of each point: (n, ...) to (n_points, ...)."""
    sets = values.unflatten(0, [values.size(0) // set_size, set_size])  # type: ignore[no-untyped-call]
    return sets.sum(1)


def means_of_images(values: Tensor, weight: Tensor, set_size: int) -> Tensor:
    """Means over the images of each point: (n,) and weights (n,) to (n_points,); 0 where all weights are."""
    return of_sets(values * weight, set_size) / of_sets(weight, set_size).clamp_min(1e-6)


def of_true_boxes(true_boxes: Tensor, index: Tensor) -> Tensor:
    """The true box of each query: (n, M, 4) and numbers (n, Q) to (n, Q, 4)."""
    return true_boxes.gather(1, index.unsqueeze(2).expand(-1, -1, 4))


def aligned_iou(boxes: Tensor, others: Tensor) -> Tensor:
    """The IoU of each box with the other at its place, of (n, N, 4) twice to (n, N)."""
    common = (
        torch.minimum(boxes[..., 2:], others[..., 2:]) - torch.maximum(boxes[..., :2], others[..., :2])
    ).clamp_min(0)
    sizes, other_sizes = (
        (boxes[..., 2:] - boxes[..., :2]).clamp_min(0),
        (others[..., 2:] - others[..., :2]).clamp_min(0),
    )
    both = common[..., 0] * common[..., 1]
    union = sizes[..., 0] * sizes[..., 1] + other_sizes[..., 0] * other_sizes[..., 1] - both
    return both / union.clamp_min(1e-6)


def _free(
    iou: Tensor,
    same: Tensor,
    mask: Tensor,
    order: Tensor,
    sharp: float,
    temperature: float,
    thresholds: list[float],
    thresholds_of_any: list[float],
) -> Tensor:
    """How far no better scored query has the true box that a query fits, shape (n, Q, V); without gradient.

    Only queries that overlap true boxes most can be hits; see `close_queries`.
    """
    close = close_queries(iou)
    iou, same, mask = of_queries(iou, close), of_queries(same, close), of_queries(mask, close)
    claims: list[Tensor] = []
    assigned = ((iou * same - 9 * (1 - mask)) / sharp).softmax(2) * same
    for threshold in thresholds:
        claims.append(torch.sigmoid((iou - threshold) / sharp) * assigned)
    assigned = ((iou - 9 * (1 - mask)) / sharp).softmax(2) * mask
    for threshold in thresholds_of_any:
        claims.append(torch.sigmoid((iou - threshold) / sharp) * assigned)
    claimed = torch.stack(claims, 2)  # (n, K, V, M)
    not_self = 1 - torch.eye(close.size(1), dtype=iou.dtype, device=iou.device)
    close_order = order.gather(1, close)
    above = torch.sigmoid((close_order.unsqueeze(1) - close_order.unsqueeze(2)) / temperature) * not_self
    free = (claimed * unclaimed(claimed, above)).sum(3) / claimed.sum(3).clamp_min(1e-6)
    all_free = torch.zeros([order.size(0), order.size(1), free.size(2)], dtype=iou.dtype, device=iou.device)
    return all_free.scatter(1, close.unsqueeze(2).expand(-1, -1, free.size(2)), free)


def _order(best: Tensor, query_mask: Tensor, set_size: int) -> tuple[Tensor, Tensor]:
    """The spread of a set's scores, shape (n, 1), and the scores relative to it, shape (n, Q)."""
    fixed = best.detach()
    count = of_sets(query_mask.sum(1, keepdim=True), set_size).clamp_min(1)
    mean = _of_images(of_sets((fixed * query_mask).sum(1, keepdim=True), set_size) / count, set_size)
    square = ((fixed - mean) * query_mask).square().sum(1, keepdim=True)
    spread = _of_images((of_sets(square, set_size) / count).sqrt(), set_size).clamp_min(1e-5)
    return spread, calmed((best - mean) * query_mask / spread, spread)


def _probability(logits: Tensor, query_mask: Tensor, set_size: int, temperature: float, far: float = FAR) -> Tensor:
    """Of each class, from the logits relative to the set's mean margin between the best two; shape (n, Q, C)."""
    top = logits.detach().topk(2, dim=2)[0]
    margin = top[:, :, 0] - top[:, :, 1]
    counted = query_mask * (margin < far).to(query_mask.dtype)
    count = of_sets(counted.sum(1, keepdim=True), set_size)
    total = of_sets((margin * counted).sum(1, keepdim=True), set_size)
    size = torch.where(count > 0, total / count.clamp_min(1), torch.ones_like(total)).clamp(1e-5, 1.0)
    size = _of_images(size, set_size).unsqueeze(2)
    relative = calmed((logits - top[:, :, :1]) / size, size)
    return (relative / temperature).softmax(2) * query_mask.unsqueeze(2)


def _of_images(values: Tensor, set_size: int) -> Tensor:
    """What each point has, for each of its images: (n_points, 1) to (n, 1)."""
    return values.expand(-1, set_size).reshape(-1, 1)
