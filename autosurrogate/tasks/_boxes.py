"""Pairwise overlap of boxes; scriptable, for the networks use it too."""

import torch
from torch import Tensor


def overlaps(preds: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """IoU, and generalised IoU (Rezatofighi et al., CVPR 2019), of all pairs of boxes of an image.

    A box whose corners are the wrong way round has no area and overlaps with nothing.

    Args:
        preds: xyxy, shape (n, Q, 4).
        target: xyxy, shape (n, M, 4).

    Returns:
        Shape (n, Q, M) each: in [0, 1], and in [-1, 1].
    """
    a, b = preds.unsqueeze(2), target.unsqueeze(1)
    common = (torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])).clamp_min(0)
    hull = (torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(a[..., :2], b[..., :2])).clamp_min(0)
    intersection, around = common[..., 0] * common[..., 1], hull[..., 0] * hull[..., 1]
    union = (_area(a) + _area(b) - intersection).clamp_min(1e-6)
    iou = intersection / union
    return iou, iou - 1 + union / torch.maximum(around, union)


def _area(boxes: Tensor) -> Tensor:
    sizes = (boxes[..., 2:] - boxes[..., :2]).clamp_min(0)
    return sizes[..., 0] * sizes[..., 1]
