"""A network for metrics of boundaries: boundary F1."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autosurrogate.surrogates._monotone_mlp import MonotoneMLP
from autosurrogate.surrogates._segmentation_margins import relative_to_margins
from autosurrogate.surrogates._segmentation_overlap import (
    iou_and_dice,
    mean_of_images,
    occurrence,
    one_hot,
    over_classes,
)


class Boundary(nn.Module):
    """Soft boundaries of each class, matched within some pixels: what boundary F1 is made of; and Dice.

    A pixel is on the soft boundary of a class by as much as its probability exceeds the smallest of its four
    neighbours'. Precision is the part of the predicted boundary that lies near the target's, recall the part of the
    target's boundary that has some of the predicted one near. Means over the classes of an image, then over images.

    Args:
        temperatures: of the softmax; small ones see the argmax.
        radii: what is near, in pixels, ascending.
        width: hidden units.
        n_hidden: hidden layers.
        relative_temperatures: the same of logits relative to the mean margin of the point's pixels, which see the order
            at any scale of the logits.
    """

    FEATURE_SETTINGS = ("temperatures", "relative_temperatures", "radii")
    relative_temperatures: list[float]  # which may be empty

    def __init__(
        self,
        temperatures: list[float],
        radii: list[int],
        width: int = 32,
        n_hidden: int = 2,
        relative_temperatures: Sequence[float] = (),
    ) -> None:
        super().__init__()
        self.temperatures = [float(t) for t in temperatures]
        self.relative_temperatures = [float(t) for t in relative_temperatures]
        self.radii = [int(r) for r in radii]
        n_context = len(temperatures) + len(relative_temperatures) + 2
        self.layers = MonotoneMLP(len(self.feature_names()) - n_context, n_context, width, n_hidden)

    def n_rows(self, set_size: int) -> int:
        """Rows of `features` for each point."""
        return 1

    def feature_names(self) -> list[str]:
        """A name for each column of `features`."""
        seen = [f"at {t:g}" for t in self.temperatures] + [f"relative {t:g}" for t in self.relative_temperatures]
        names: list[str] = []
        for t in seen:
            names.append(f"dice {t}")
            names += [f"{kind} within {r} {t}" for r in self.radii for kind in ("precision", "recall", "f1")]
        return [*names, *(f"longer {t}" for t in seen), "classes", "share"]

    def features(self, logits: Tensor, target: Tensor, valid: Tensor, set_size: int) -> Tensor:
        """Shape (n // set_size, n_features)."""
        truth = one_hot(logits, target, valid)
        actual = truth.sum((2, 3))
        left_out = 1 - valid.unsqueeze(1)
        edge = _edge(truth, left_out)
        length = edge.sum((2, 3))
        near: list[Tensor] = []
        for radius in self.radii:
            near.append(_spread(edge, radius))
        relative = relative_to_margins(logits, valid, set_size) if len(self.relative_temperatures) > 0 else logits
        features: list[Tensor] = []
        context: list[Tensor] = []
        for i, temperature in enumerate(self.temperatures + self.relative_temperatures):
            seen = logits if i < len(self.temperatures) else relative
            probability = (seen / temperature).softmax(1) * valid.unsqueeze(1)
            _, dice = iou_and_dice((probability * truth).sum((2, 3)), probability.sum((2, 3)), actual)
            own = _edge(probability, left_out)
            own_length, has_edge = own.sum((2, 3)), occurrence(length, own.amax((2, 3)))
            of_images = [over_classes(dice, occurrence(actual, probability.amax((2, 3))))]
            context.append(own_length.sum(1) / (own_length + length).sum(1).clamp_min(1))
            spread, last_radius = own, 0
            for k, radius in enumerate(self.radii):
                spread, last_radius = _spread(spread, radius - last_radius), radius
                precision = (own * near[k]).sum((2, 3)) / (own_length + 0.01)
                recall = (edge * spread).sum((2, 3)) / length.clamp_min(1)
                f1 = 2 * precision * recall / (precision + recall + 0.001)
                of_images += [over_classes(values, has_edge) for values in (precision, recall, f1)]
            features += [mean_of_images(values, actual, set_size) for values in of_images]
        n_classes = (length > 0).to(logits.dtype).sum(1).clamp_min(1)
        edge_fraction = length.sum(1) / actual.sum(1).clamp_min(1)
        context += [1 / n_classes, edge_fraction]
        features += [mean_of_images(values, actual, set_size) for values in context]
        return torch.stack(features, 1)

    def score(self, features: Tensor, n_rows: int) -> Tensor:
        """One number for each point, shape (n_points,)."""
        return self.layers(features).squeeze(1)


def _edge(probability: Tensor, left_out: Tensor) -> Tensor:
    """By how much each pixel exceeds the smallest of its four neighbours, shape of `probability`.

    Args:
        probability: of each class at each pixel, (n, C, H, W); 0 where there is no target.
        left_out: 1 where there is no target, else 0, (n, 1, H, W); such pixels make no edge.
    """
    return (probability + _spread(-probability - left_out, 1)) * (1 - left_out)


def _spread(values: Tensor, radius: int) -> Tensor:
    """The largest of the pixels that are at most `radius` steps away, along rows and columns, shape of `values`."""
    for _ in range(radius):
        across = F.max_pool2d(values, (3, 1), 1, (1, 0))
        values = across + F.relu(F.max_pool2d(values, (1, 3), 1, (0, 1)) - across)
    return values
