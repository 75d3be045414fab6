"""The regular loss of detections: an assignment of queries to true boxes, focal loss and overlap."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from autosurrogate.tasks._boxes import overlaps

FOCUS, BALANCE = 2.0, 0.25  # of the focal loss, the values of its paper
BOX_WEIGHT = 2.0
NO_PAIR = 1e6


def assigned_loss(boxes: Tensor, logits: Tensor, present: Tensor, true_boxes: Tensor, classes: Tensor) -> Tensor:
    """Focal loss of all classes of all queries, overlap and distance of the boxes that are paired.

    Each true box is paired with a query of its own so that the sum of the costs is smallest (Carion et al., ECCV 2020):
    the class probability, the generalised IoU, and the mean distance of the sides in units of the true box's. A true
    box without a query costs as much as the worst overlap.

    Args:
        boxes: xyxy, shape (n, Q, 4).
        logits: shape (n, Q, C).
        present: shape (n, Q), which queries are not padding.
        true_boxes: xyxy, shape (n, M, 4).
        classes: shape (n, M), -1 for padding.

    Returns:
        Shape (n,): the sum over an image divided by the number of its true boxes, or by 1 if it has none.
    """
    valid = classes >= 0
    giou = overlaps(boxes, true_boxes)[1]
    sizes = (true_boxes[..., 2:] - true_boxes[..., :2]).clamp_min(1).repeat(1, 1, 2)
    distance = ((boxes[:, :, None] - true_boxes[:, None]).abs() / sizes[:, None]).mean(-1)
    cost = BOX_WEIGHT * (1 - giou) + distance
    probability = logits.sigmoid().gather(2, classes.clamp_min(0)[:, None].expand(-1, logits.shape[1], -1))
    allowed = present[:, :, None] & valid[:, None]
    pairs = _assignment(cost - BOX_WEIGHT * probability, allowed)

    wanted = torch.zeros_like(logits)
    matched = torch.zeros_like(valid)
    box_loss = torch.zeros_like(logits[:, 0, 0])
    if len(pairs):
        image, query, box = pairs.to(logits.device).unbind(1)
        wanted[image, query, classes[image, box]] = 1.0
        matched[image, box] = True
        box_loss = box_loss.index_add(0, image, cost[image, query, box])
    box_loss = box_loss + 2 * BOX_WEIGHT * (valid & ~matched).sum(1)
    return (box_loss + _focal(logits, wanted, present)) / valid.sum(1).clamp_min(1)


def _focal(logits: Tensor, wanted: Tensor, present: Tensor) -> Tensor:
    """Focal loss (Lin et al., ICCV 2017), the sum over an image, shape (n,)."""
    cross_entropy = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    probability = logits.sigmoid()
    wrong = torch.where(wanted > 0, 1 - probability, probability)
    balance = torch.where(wanted > 0, BALANCE, 1 - BALANCE)
    return (balance * wrong**FOCUS * cross_entropy * present[..., None]).sum((1, 2))


def _assignment(cost: Tensor, allowed: Tensor) -> Tensor:
    """Image, query and true box of each pair, shape (n_pairs, 3), on the CPU."""
    costs = torch.where(allowed, cost, NO_PAIR).detach().double().cpu().numpy()
    pairs: list[np.ndarray] = []
    for image, image_cost in enumerate(costs):
        query, box = linear_sum_assignment(image_cost)
        is_allowed = image_cost[query, box] < NO_PAIR
        pairs.append(np.stack([np.full(is_allowed.sum(), image), query[is_allowed], box[is_allowed]], 1))
    return torch.from_numpy(np.concatenate(pairs)) if pairs else torch.empty(0, 3, dtype=torch.int64)
