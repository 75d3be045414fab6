"""Features of segmentation: connected objects of the foreground, and how many there are."""

import torch
import torch.nn.functional as F
from torch import Tensor

from autosurrogate.surrogates._layers import matmul
from autosurrogate.surrogates._segmentation_overlap import mean_of_images

N_OBJECTS = 10  # the largest of an image, which are compared; all are counted
N_ROUNDS = 12  # of finding what is connected
QUALITIES = (
    "objects found", "objects right", "F1 of objects", "IoU of objects", "panoptic quality", "overlap of objects",
    "mean part found", "worst part found", "objects mostly found", "mean part right", "objects mostly right",
    "near number of objects", "near number of holes", "near topology", "equal number of objects", "near Euler number",
)  # fmt: skip
CONTEXT = ("ratio of objects", "true objects", "holes", "true holes")


def object_features(
    probability: Tensor, truth: Tensor, valid: Tensor, margin: Tensor, set_size: int, n_objects: int = N_OBJECTS
) -> tuple[list[Tensor], list[Tensor]]:
    """The features `QUALITIES` and `CONTEXT`, shape (n_points,) each; means over images.

    What belongs to an object has no gradient, how much of it there is has.

    Args:
        probability: of each class, shape (n, C, H, W), 0 where there is no target.
        truth: 1 at the target's class, of the same shape.
        valid: 1 where there is a target, shape (n, H, W).
        margin: of the largest logit over the next, shape (n, H, W), by which objects of one size are ordered.
        set_size: images of each point.
        n_objects: see `N_OBJECTS`.
    """
    foreground, true = valid - probability[:, 0], truth.sum(1) - truth[:, 0]
    found = ((probability.detach().argmax(1) > 0) & (valid > 0)).to(true.dtype)
    surer = margin / (1 + margin)
    masks, n_found = _objects(found, surer, n_objects)
    true_masks, n_true = _objects(true, surer, n_objects)
    soft = masks * foreground.flatten(1).unsqueeze(1)
    sizes, true_sizes = soft.sum(2), true_masks.sum(2)
    common = matmul(soft, true_masks.transpose(1, 2))  # (n, found, true)
    iou = common / (sizes.unsqueeze(2) + true_sizes.unsqueeze(1) - common).clamp_min(0.5)
    exists, true_exists = (masks.amax(2) > 0).to(true.dtype), (true_masks.amax(2) > 0).to(true.dtype)
    compared, true_compared = exists.sum(1), true_exists.sum(1)
    best = iou.amax(1)
    matched = torch.sigmoid((best - 0.5) / 0.03)
    hits = (matched * true_exists).sum(1)
    overlap = (matched * true_exists * best).sum(1)
    part = common.sum(1) / true_sizes.clamp_min(1)
    right = common.sum(2) / sizes.clamp_min(0.5)
    some_true, some = true_compared.clamp_min(1), compared.clamp_min(1)
    total = (compared + true_compared).clamp_min(1)

    strength = torch.where(masks > 0, foreground.flatten(1).unsqueeze(1), torch.zeros_like(masks)).amax(2)
    number = n_found + (strength - strength.detach()).sum(1)  # an object is lost with its surest pixel
    holes, true_holes = _n_holes(found), _n_holes(true)
    excess, more_holes = number - n_true, holes - true_holes
    euler = _euler_number(foreground) - _euler_number(true)
    qualities = [
        hits / some_true,
        hits / some,
        2 * hits / total,
        overlap / (hits + 0.1),
        2 * overlap / total,
        (best * true_exists).sum(1) / some_true,
        (part * true_exists).sum(1) / some_true,
        (part + 2 * (1 - true_exists)).amin(1).clamp(max=1.0),
        (torch.sigmoid((part - 0.5) / 0.05) * true_exists).sum(1) / some_true,
        (right * exists).sum(1) / some,
        (torch.sigmoid((right - 0.5) / 0.05) * exists).sum(1) / some,
        _near(excess),
        _near(more_holes),
        -((_size(excess) + _size(more_holes)) + 0.1).log() / 4,
        torch.exp(-2 * excess.square()),
        _near(euler),
    ]
    context = [
        ((n_found + 0.5) / (n_true + 0.5)).log() / 3,
        n_true.log1p() / 3,
        holes.log1p() / 3,
        true_holes.log1p() / 3,
    ]
    actual = truth.sum((2, 3))
    return (
        [mean_of_images(values, actual, set_size) for values in qualities],
        [mean_of_images(values, actual, set_size) for values in context],
    )


def _near(difference: Tensor) -> Tensor:
    """Less the larger a difference is, by its logarithm."""
    return -(_size(difference) + 0.1).log() / 4


def _size(difference: Tensor) -> Tensor:
    """The absolute value, rounded off at 0."""
    return (difference.square() + 0.01).sqrt() - 0.1


def _labels(mask: Tensor, corners: bool, n_rounds: int = N_ROUNDS) -> Tensor:
    """For each pixel of a mask the number of a pixel that its object shares, from 1 on; 0 elsewhere. Shape (n, H, W).

    The largest number of neighbours, and of the pixel that has this number: so numbers leap through an object.
    """
    height, width = mask.size(1), mask.size(2)
    numbers = torch.arange(1, height * width + 1, dtype=mask.dtype, device=mask.device).view(1, height, width)
    labels = (numbers * mask).unsqueeze(1)
    mask = mask.unsqueeze(1)
    for _ in range(n_rounds):
        for _ in range(3):
            if corners:
                labels = F.max_pool2d(labels, 3, 1, 1) * mask
            else:
                across = F.max_pool2d(labels, (3, 1), 1, (1, 0))
                labels = torch.maximum(across, F.max_pool2d(labels, (1, 3), 1, (0, 1))) * mask
        flat = F.pad(labels.flatten(1), (1, 0))
        labels = flat.gather(1, flat.long())[:, 1:].view(labels.shape)
    return labels.squeeze(1)


def _objects(mask: Tensor, surer: Tensor, n_objects: int) -> tuple[Tensor, Tensor]:
    """The masks of the largest objects, shape (n, n_objects, H * W), and the number of all, shape (n,).

    Of equally large ones the surer come first.
    """
    labels = _labels(mask, False).flatten(1).long()
    weight = (mask + 0.1 * mask * surer).flatten(1)
    # One more for what is in no object, and as many as are asked for, however small the image.
    sizes = torch.zeros_like(F.pad(weight, (0, n_objects + 1))).scatter_add(1, labels, weight)
    largest, which = sizes.topk(n_objects, dim=1)
    masks = (labels.unsqueeze(1) == which.unsqueeze(2)) & (largest > 0).unsqueeze(2)
    return masks.to(mask.dtype), (sizes > 0).to(mask.dtype).sum(1)


def _n_holes(mask: Tensor) -> Tensor:
    """How many parts of what is not in a mask are enclosed by it, shape (n,)."""
    outside = F.pad(1 - mask, (1, 1, 1, 1), value=1.0)
    labels = _labels(outside, True).flatten(1).long()
    sizes = torch.zeros_like(F.pad(labels, (0, 1))).scatter_add(1, labels, (labels > 0).to(labels.dtype))
    return (sizes > 0).to(mask.dtype).sum(1) - 1


def _euler_number(mask: Tensor) -> Tensor:
    """Objects less holes: pixels less pairs of neighbours plus squares of four, of a soft mask; shape (n,)."""
    across = mask * F.pad(mask, (0, 1))[:, :, 1:]
    down = mask * F.pad(mask, (0, 0, 0, 1))[:, 1:]
    squares = across * F.pad(across, (0, 0, 0, 1))[:, 1:]
    return mask.sum((1, 2)) - across.sum((1, 2)) - down.sum((1, 2)) + squares.sum((1, 2))
