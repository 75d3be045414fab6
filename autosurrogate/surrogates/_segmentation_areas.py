"""Features of segmentation: areas of the foreground and of each class, and how they overlap."""

import torch
from torch import Tensor

from autosurrogate.surrogates._layers import matmul
from autosurrogate.surrogates._segmentation_overlap import mean_of_images

OF_FOREGROUND = ("IoU", "Dice", "recall", "precision", "specificity", "likeness of areas")
OF_CLASSES = (
    "accuracy", "kappa", "mean IoU", "worst IoU", "weighted IoU", "mean Dice", "mean recall", "worst recall",
    "mean precision", "Dice by 1 / area", "Dice by 1 / area squared", "pairs found", "pairs right",
    "information found", "information right",
)  # fmt: skip
OF_IMAGES = ("error of areas", "number of classes", "labelled pairs right")
QUALITIES = (
    *(f"{name} of foreground" for name in OF_FOREGROUND), *OF_CLASSES, *OF_IMAGES,
    *(f"{name} of foreground of the set" for name in OF_FOREGROUND), *(f"{name} of the set" for name in OF_CLASSES),
)  # fmt: skip
CONTEXT = ("ratio of areas", "foreground", "true foreground", "chance")
SMALL = 0.1  # pixels added to areas, so that an empty one divided by an empty one is 1


def area_features(
    probability: Tensor, truth: Tensor, set_size: int, small: float = SMALL
) -> tuple[list[Tensor], list[Tensor]]:
    """The features `QUALITIES` and `CONTEXT`, shape (n_points,) each.

    Args:
        probability: of each class, shape (n, C, H, W), 0 where there is no target.
        truth: 1 at the target's class, of the same shape.
        set_size: images of each point.
        small: see `SMALL`.
    """
    counts = matmul(probability.flatten(2), truth.flatten(2).transpose(1, 2))  # (n, C predicted, C true)
    actual = counts.detach().sum(1)
    foreground = _of_foreground(counts, small)
    predicted, of_class = counts.sum(2), counts.sum(1)
    everything = counts.sum((1, 2))
    found, true = everything - predicted[:, 0], everything - of_class[:, 0]
    n_pixels = everything.clamp_min(1)
    largest = probability.amax((2, 3))
    n_found = largest.sum(1)
    n_true = (truth.amax((2, 3)) > 0).to(n_found.dtype).sum(1)
    labelled = counts * (torch.arange(counts.size(2), device=counts.device) > 0).to(counts.dtype)
    itself = labelled.sum((1, 2))  # each pixel with itself is no pair
    pairs = labelled.square().sum((1, 2)) - itself
    pairs_found = labelled.sum(2).square().sum(1) + labelled.sum(1).square().sum(1) - 2 * itself
    of_images = [
        -((found - true).abs() / n_pixels + 0.003).log() / 5,
        -(((n_found - n_true).square() + 0.01).sqrt() / n_true.clamp_min(1)),
        2 * pairs / pairs_found.clamp_min(1),
    ]
    by_image = foreground + _of_classes(counts, small) + of_images
    of_set = counts.flatten(1).view(-1, set_size, counts.size(1) * counts.size(2)).sum(1)
    of_set = of_set.view(-1, counts.size(1), counts.size(2))
    qualities = [mean_of_images(values, actual, set_size) for values in by_image]
    qualities += _of_foreground(of_set, small) + _of_classes(of_set, small)
    context = [
        ((found + 1) / (true + 1)).log() / 3,
        found / n_pixels,
        true / n_pixels,
        (predicted * of_class).sum(1) / n_pixels.square(),
    ]
    return qualities, [mean_of_images(values, actual, set_size) for values in context]


def _of_foreground(counts: Tensor, small: float) -> list[Tensor]:
    """`OF_FOREGROUND` from the pixels of each pair of classes, (n, C, C) to (n,) each."""
    # Sums less those of class 0: the classes from 1 on may be one, an axis that an exported program would not serve.
    everything, rejected = counts.sum((1, 2)), counts[:, 0, 0]
    background = counts[:, :, 0].sum(1)
    found, true = everything - counts[:, 0].sum(1), everything - background
    total = found + true
    union = everything - rejected
    hits = total - union
    return [
        (hits + small) / (union + small),
        (2 * hits + small) / (total + small),
        (hits + small) / (true + small),
        (hits + small) / (found + small),
        (rejected + small) / (background + small),
        1 - (found - true).abs() / (total + small),
    ]


def _of_classes(counts: Tensor, small: float) -> list[Tensor]:
    """`OF_CLASSES` from the pixels of each pair of classes, (n, C, C) to (n,) each."""
    hits, found, true = counts.diagonal(dim1=1, dim2=2), counts.sum(2), counts.sum(1)
    n_pixels = true.sum(1).clamp_min(1)
    occurs = (true > 0).to(counts.dtype)
    n_true = occurs.sum(1).clamp_min(1)
    either = occurs + (1 - occurs) * (found / (found + 1))
    iou, dice = hits / (found + true - hits).clamp_min(small), 2 * hits / (found + true).clamp_min(small)
    recall, precision = hits / true.clamp_min(1), hits / (found + small)
    accuracy = hits.sum(1) / n_pixels
    chance = (found * true).sum(1) / n_pixels.square()
    squares = counts.square().sum((1, 2))
    absent = 2 * (1 - occurs)
    conditional, mutual = _information(counts, n_pixels)
    of_classes = [
        accuracy,
        (accuracy - chance) / (1 - chance + 0.01),
        (iou * either).sum(1) / either.sum(1).clamp_min(small),
        (iou + absent).amin(1),
        (iou * true).sum(1) / n_pixels,
        (dice * either).sum(1) / either.sum(1).clamp_min(small),
        (recall * occurs).sum(1) / n_true,
        (recall + absent).amin(1),
        (precision * occurs).sum(1) / n_true,
    ]
    for power in (1.0, 2.0):
        weight = true.clamp_min(1).pow(-power) * occurs
        weight = weight + weight.amax(1, keepdim=True) * (1 - occurs)  # as for the smallest class
        of_classes.append(2 * (hits * weight).sum(1) / ((found + true) * weight).sum(1).clamp_min(1e-6))
    of_classes += [
        squares / true.square().sum(1).clamp_min(1),
        squares / found.square().sum(1).clamp_min(1),
        mutual,
        conditional,
    ]
    return of_classes


def _information(counts: Tensor, n_pixels: Tensor) -> tuple[Tensor, Tensor]:
    """How little is unknown of the prediction, given the target, and of the target, given the prediction; (n,) each.

    The conditional entropies of the classes, in nats, with the sign turned.
    """
    joint = counts / n_pixels.view(-1, 1, 1)
    each = (joint * (joint + 1e-6).log()).sum((1, 2))
    found, true = joint.sum(2), joint.sum(1)
    return each - (true * (true + 1e-6).log()).sum(1), each - (found * (found + 1e-6).log()).sum(1)
