"""Features of detections: the area that boxes cover together, and which classes an image has."""

import torch
from torch import Tensor

from autosurrogate.surrogates._detection_matching import DetectionBatch
from autosurrogate.surrogates._detection_pairs import Pairs, means_of_images, of_sets
from autosurrogate.surrogates._layers import matmul

AREAS = (
    "covered IoU", "covered precision", "covered recall", "covered IoU of the set", "covered IoU by score",
    "classes found", "classes right", "images of right classes",
)  # fmt: skip
CONTEXT = ("area covered",)


def area_features(batch: DetectionBatch, pairs: Pairs, of_class: Tensor, set_size: int) -> tuple[Tensor, Tensor]:
    """The features `AREAS` and `CONTEXT`, shape (n_points, n) each. What is counted is decided by the first gate.

    Args:
        batch: of images.
        pairs: of queries and true boxes.
        of_class: shape (n, M, C), 1 at the class of each true box.
        set_size: images of each point.
    """
    gate, target_mask = pairs.gates[:, :, 0], batch.target_mask
    probability = batch.logits.amax(2).sigmoid() * batch.query_mask
    rank, true_rank = pairs.order.detach(), _places(target_mask)
    fixed = batch.boxes.detach()
    own, true_own = _intersections(fixed, fixed), _intersections(batch.true_boxes, batch.true_boxes)
    true = _area(batch.true_boxes) * _alone(true_own, target_mask, true_rank) * target_mask
    between, area = _intersections(batch.boxes, batch.true_boxes), _area(batch.boxes)
    fraction = between / _area(batch.true_boxes).clamp_min(1).unsqueeze(1)
    found, both = _covered(area, fraction, true, gate, _alone(own, gate.detach(), rank))
    by_score, both_by_score = _covered(area, fraction, true, probability, _alone(own, probability.detach(), rank))
    true = true.sum(1)
    union = found + true - both
    has_true = (target_mask.sum(1) > 0).to(gate.dtype)
    everywhere = torch.ones_like(has_true)
    set_found, set_both, set_true = of_sets(found, set_size), of_sets(both, set_size), of_sets(true, set_size)

    present = of_class.amax(1)
    seen = 1 - torch.exp(torch.log(1 - 0.999 * pairs.probability * gate.unsqueeze(2)).sum(1))
    hits, total = (seen * present).sum(1), (seen + present).sum(1)
    qualities = [
        means_of_images((both + 1) / (union + 1), everywhere, set_size),  # 1, a pixel: 1 where nothing is covered
        means_of_images((both + 1) / (found + 1), everywhere, set_size),
        means_of_images(both / true.clamp_min(1), has_true, set_size),
        set_both / (set_found + set_true - set_both + 1),
        means_of_images(both_by_score / (by_score + true - both_by_score + 1), has_true, set_size),
        of_sets(hits, set_size) / of_sets(present.sum(1), set_size).clamp_min(1),
        2 * of_sets(hits, set_size) / (of_sets(total, set_size) + 0.1),
        means_of_images(torch.exp(-2 * (total - 2 * hits)), everywhere, set_size),
    ]
    return torch.stack(qualities, 1), (((set_found + 1) / (set_true + 1)).log() / 3).unsqueeze(1)


def _covered(area: Tensor, fraction: Tensor, true: Tensor, weight: Tensor, alone: Tensor) -> tuple[Tensor, Tensor]:
    """The area that boxes cover together, and that of it which true boxes cover, shape (n,) each, in square pixels.

    Args:
        area: of each query, shape (n, Q).
        fraction: of each true box that each query covers, shape (n, Q, M).
        true: the area that each true box adds, shape (n, M).
        weight: how far each query counts, shape (n, Q).
        alone: which fraction of each query no larger one covers, shape (n, Q).
    """
    found = (area * alone * weight).sum(1)
    covered = matmul((weight * alone).unsqueeze(1), fraction).squeeze(1).clamp(max=1.0)
    return found, torch.minimum((true * covered).sum(1), found)


def _alone(own: Tensor, weight: Tensor, rank: Tensor) -> Tensor:
    """Which fraction of each box no larger box covers, as if those lay independently of one another; shape (n, N).

    Args:
        own: intersections of the boxes, shape (n, N, N).
        weight: how far each box counts, shape (n, N).
        rank: any numbers by which equal areas are ordered, shape (n, N).
    """
    area = own.diagonal(dim1=1, dim2=2)
    larger = area.unsqueeze(1) > area.unsqueeze(2)  # (n, N, N): whether the last is larger than the one before
    equal = (area.unsqueeze(1) == area.unsqueeze(2)) & (rank.unsqueeze(1) > rank.unsqueeze(2))
    fraction = own / area.clamp_min(1).unsqueeze(2) * (larger | equal).to(own.dtype)
    return torch.exp(torch.log(1 - 0.999 * fraction * weight.unsqueeze(1)).sum(2))


def _places(values: Tensor) -> Tensor:
    """0, 1, 2, ... along the last axis, shape of `values`."""
    return torch.arange(values.size(1), dtype=values.dtype, device=values.device).expand_as(values)


def _area(boxes: Tensor) -> Tensor:
    sizes = (boxes[..., 2:] - boxes[..., :2]).clamp_min(0)
    return sizes[..., 0] * sizes[..., 1]


def _intersections(boxes: Tensor, others: Tensor) -> Tensor:
    """Areas that two boxes have in common, of (n, A, 4) and (n, B, 4) to (n, A, B)."""
    a, b = boxes.unsqueeze(2), others.unsqueeze(1)
    sizes = (torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])).clamp_min(0)
    return sizes[..., 0] * sizes[..., 1]
