"""A network for metrics of how regions overlap: IoU, Dice; and the counts of pixels behind it."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from autosurrogate.surrogates._monotone_mlp import MonotoneMLP
from autosurrogate.surrogates._segmentation_margins import relative_to_margins


class Overlap(nn.Module):
    """Soft counts of the pixels of each class: what IoU and Dice are made of, over a set and over its images.

    Args:
        temperatures: of the softmax; small ones see the argmax, large ones reach pixels far from the border between
            two classes with their gradient.
        width: hidden units.
        n_hidden: hidden layers.
        relative_temperatures: the same of logits relative to the mean margin of the point's pixels, which see the order
            at any scale of the logits.
    """

    FEATURE_SETTINGS = ("temperatures", "relative_temperatures")
    relative_temperatures: list[float]  # which may be empty
    PER_TEMPERATURE = (
        "image iou", "image dice", "image foreground dice",
        "iou", "dice", "foreground iou", "foreground dice", "recall", "precision", "accuracy", "weighted iou",
    )  # fmt: skip

    def __init__(
        self,
        temperatures: list[float],
        width: int = 32,
        n_hidden: int = 2,
        relative_temperatures: Sequence[float] = (),
    ) -> None:
        super().__init__()
        self.temperatures = [float(t) for t in temperatures]
        self.relative_temperatures = [float(t) for t in relative_temperatures]
        self.layers = MonotoneMLP(len(self.feature_names()) - 2, 2, width, n_hidden)

    def n_rows(self, set_size: int) -> int:
        """Rows of `features` for each point: the pixels of a point are counted together."""
        return 1

    def feature_names(self) -> list[str]:
        """A name for each column of `features`."""
        names = [f"{name} at {t:g}" for t in self.temperatures for name in self.PER_TEMPERATURE]
        names += [f"{name} relative {t:g}" for t in self.relative_temperatures for name in self.PER_TEMPERATURE]
        return [*names, "classes", "balance"]

    def features(self, logits: Tensor, target: Tensor, valid: Tensor, set_size: int) -> Tensor:
        """Shape (n // set_size, n_features)."""
        truth = one_hot(logits, target, valid)
        actual = truth.sum((2, 3))
        of_set = sum_of_images(actual, set_size)
        n_pixels = of_set.sum(1).clamp_min(1)
        n_classes = (of_set > 0).to(logits.dtype).sum(1).clamp_min(1)
        foreground = (torch.arange(logits.size(1), device=logits.device) > 0).to(logits.dtype)
        relative = relative_to_margins(logits, valid, set_size) if len(self.relative_temperatures) > 0 else logits
        features: list[Tensor] = []
        for i, temperature in enumerate(self.temperatures + self.relative_temperatures):
            seen = logits if i < len(self.temperatures) else relative
            probability = (seen / temperature).softmax(1) * valid.unsqueeze(1)
            hits, predicted = (probability * truth).sum((2, 3)), probability.sum((2, 3))
            largest = probability.amax((2, 3))
            occurs = occurrence(actual, largest)
            iou, dice = iou_and_dice(hits, predicted, actual)
            features += [
                mean_of_images(over_classes(iou, occurs), actual, set_size),
                mean_of_images(over_classes(dice, occurs), actual, set_size),
                mean_of_images(over_classes(dice, occurs * foreground), actual, set_size),
            ]
            hits, predicted = sum_of_images(hits, set_size), sum_of_images(predicted, set_size)
            occurs = occurrence(of_set, largest.view(-1, set_size, largest.size(1)).amax(1))
            iou, dice = iou_and_dice(hits, predicted, of_set)
            features += [
                over_classes(iou, occurs),
                over_classes(dice, occurs),
                over_classes(iou, occurs * foreground),
                over_classes(dice, occurs * foreground),
                (hits / of_set.clamp_min(1)).sum(1) / n_classes,
                over_classes(hits / (predicted + 0.1), occurs),
                hits.sum(1) / n_pixels,
                (iou * of_set).sum(1) / n_pixels,
            ]
        features += [1 / n_classes, of_set.square().sum(1) / n_pixels.square()]
        return torch.stack(features, 1)

    def score(self, features: Tensor, n_rows: int) -> Tensor:
        """One number for each point, shape (n_points,)."""
        return self.layers(features).squeeze(1)


def one_hot(logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """1 at the target's class of each pixel that has one, else 0, shape of `logits`."""
    return torch.zeros_like(logits).scatter(1, target.unsqueeze(1), valid.unsqueeze(1))


def sum_of_images(by_image: Tensor, set_size: int) -> Tensor:
    """Sums over the images of each point, (n, C) to (n // set_size, C)."""
    return by_image.view(-1, set_size, by_image.size(1)).sum(1)


def iou_and_dice(hits: Tensor, predicted: Tensor, actual: Tensor) -> tuple[Tensor, Tensor]:
    """IoU and Dice from numbers of pixels: rightly predicted, predicted, and of the target; all of one shape."""
    total = predicted + actual
    return hits / (total - hits + 1e-6), 2 * hits / (total + 1e-6)


def occurrence(actual: Tensor, largest: Tensor) -> Tensor:
    """How much each class occurs: 1 if the target has it, else by as much as the prediction has it; shape (n, C).

    Args:
        actual: above 0 where the target has the class.
        largest: the largest probability that the prediction gives it, in [0, 1].
    """
    return torch.where(actual > 0, torch.ones_like(largest), largest)


def over_classes(values: Tensor, occurs: Tensor) -> Tensor:
    """Means over the classes that occur, (n, C) to (n,); values are 0 for classes that the target does not have."""
    return (values * occurs).sum(1) / occurs.sum(1).clamp_min(1e-3)


def mean_of_images(values: Tensor, actual: Tensor, set_size: int) -> Tensor:
    """Means over the images of each point that have a target, (n,) to (n // set_size,).

    Args:
        values: of each image.
        actual: pixels of each class of the target, (n, C).
        set_size: images for each point.
    """
    weight = (actual.sum(1) > 0).to(values.dtype).view(-1, set_size)
    return (values.view(-1, set_size) * weight).sum(1) / weight.sum(1).clamp_min(1)
