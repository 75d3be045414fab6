"""What keypoints are to each other: limbs, shapes, and sets of points."""

import torch
from torch import Tensor

from autosurrogate.surrogates._layers import within

LIMB_BOUNDS = (0.25, 0.5, 1.0)  # of the farther end of a limb, in lengths of the true limb
ANGLE_BOUNDS = (0.2, 0.6)  # of a limb, in radians, about
QUALITIES = [
    "limb", "length of limb", "direction", *(f"direction within {b:g}" for b in ANGLE_BOUNDS),
    *(f"limb within {b:g}" for b in LIMB_BOUNDS),
    "without shift", "without shift, turn and size", "without shift, turn, size and side", "size of shape",
    "distances in between", "farthest of set", "nearest of set",
]  # fmt: skip


def of_shapes(
    places: Tensor, true: Tensor, distance: Tensor, weight: Tensor, angles: list[float], bounds: list[float]
) -> tuple[list[Tensor], Tensor]:
    """Qualities of each example, by name as in `QUALITIES`, and the logarithm of the ratio of sizes, all (n,).

    Args:
        places: of keypoints, shape (n, K, 2).
        true: the target's, the same shape.
        distance: of each from its target, shape (n, K).
        weight: 1 for annotated keypoints, else 0, shape (n, K).
        angles: ANGLE_BOUNDS, which scripted code does not see.
        bounds: LIMB_BOUNDS.
    """
    alignment, ratio = _alignment(places, true, weight)
    return _limbs(places, true, distance, weight, angles, bounds) + alignment + _sets(places, true, weight), ratio


def _limbs(
    places: Tensor,
    true: Tensor,
    distance: Tensor,
    weight: Tensor,
    angles: list[float],
    bounds: list[float],
) -> list[Tensor]:
    """Vectors from each annotated keypoint to the next annotated one."""
    order = (1 - weight).sort(stable=True, dim=1)[1]
    places, true = (each.gather(1, order.unsqueeze(2).expand_as(each)) for each in (places, true))
    distance = distance.gather(1, order)
    has_next = torch.arange(weight.size(1), device=weight.device) + 1 < weight.sum(1, keepdim=True)
    weight = has_next.to(weight.dtype)
    limb, true_limb = places.roll(-1, 1) - places, true.roll(-1, 1) - true
    length, true_length = ((each.square().sum(2) + 1e-6).sqrt() for each in (limb, true_limb))
    off = ((limb - true_limb).square().sum(2) + 1e-8).sqrt()
    turned = (limb / length.unsqueeze(2) - true_limb / true_length.unsqueeze(2)).square().sum(2)
    turned = (turned + 1e-6).sqrt()
    farther = torch.maximum(distance, distance.roll(-1, 1)) / (true_length + 1e-2)
    values = [off, ((length + 0.01).log() - (true_length + 0.01).log()).square(), turned]
    means = [_mean(each, weight) for each in values]
    qualities = [-(means[0] + 3e-3).log(), -(means[1] + 1e-3).log() / 2, -(means[2] + 0.01).log()]
    for bound in angles:
        qualities.append(_mean(within(turned, bound), weight))
    for bound in bounds:
        qualities.append(_mean(within(farther, bound), weight))
    return qualities


def _alignment(places: Tensor, true: Tensor, weight: Tensor) -> tuple[list[Tensor], Tensor]:
    """Errors that remain after the best shift, turn, scaling and, in the last, mirroring (Procrustes)."""
    valid = weight.unsqueeze(2)
    n = valid.sum(1, keepdim=True).clamp_min(1)
    places, true = ((each - (each * valid).sum(1, keepdim=True) / n) * valid for each in (places, true))
    shifted = _mean(((places - true).square().sum(2) + 1e-8).sqrt(), weight)
    size, true_size = (each.square().sum(2).sum(1) for each in (places, true))
    products = (places.unsqueeze(3) * true.unsqueeze(2)).sum(1)  # (n, 2, 2)
    a, b, c, d = products[:, 0, 0], products[:, 0, 1], products[:, 1, 0], products[:, 1, 1]
    turned, mirrored = (a + d).square() + (b - c).square(), (a - d).square() + (b + c).square()
    sizes = (size + 1e-5) * (true_size + 1e-5)
    left = [(1 - turned / sizes).clamp_min(0), (1 - torch.maximum(turned, mirrored) / sizes).clamp_min(0)]
    ratio = ((size + 1e-4).log() - (true_size + 1e-4).log()) / 2
    left = [-(each + 1e-3).log() / 2 for each in left]
    return [-(shifted + 3e-3).log(), left[0], left[1], -(ratio.square() + 1e-4).log() / 2], ratio


def _sets(places: Tensor, true: Tensor, weight: Tensor, far: float = 10.0) -> list[Tensor]:
    """Distances between all keypoints, and of both sets of points, whichever is which (Hausdorff and chamfer)."""
    both = weight.unsqueeze(1) * weight.unsqueeze(2)
    among, truly = _distances(places, places), _distances(true, true)
    between = _mean(((among - truly).square() + 1e-6).sqrt().flatten(1), both.flatten(1))
    across = _distances(places, true).masked_fill(both == 0, far)
    nearest = [across.amin(2) * weight, across.amin(1) * weight]
    farthest = torch.maximum(nearest[0].amax(1), nearest[1].amax(1))
    mean = (_mean(nearest[0], weight) + _mean(nearest[1], weight)) / 2
    return [-(between + 3e-3).log(), -(farthest + 3e-3).log(), -(mean + 3e-3).log()]


def _distances(a: Tensor, b: Tensor) -> Tensor:
    """Between all pairs of places: (n, K, 2) and (n, K, 2) to (n, K, K)."""
    return ((a.unsqueeze(2) - b.unsqueeze(1)).square().sum(3) + 1e-8).sqrt()


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    """Weighted means of the rows of (n, d), shape (n,); 0 where all weights are."""
    return (values * weight).sum(1) / weight.sum(1).clamp_min(1)
