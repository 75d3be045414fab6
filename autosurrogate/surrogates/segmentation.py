"""Networks for segmentation.

Every network is given, for n images of which each `set_size` make a point:

    logits   (n, C, H, W), float32, finite
    target   (n, H, W), int64, 0 where there is none
    kept     (n, H, W), float32: 1 where there is a target, else 0

No parameter depends on C, H, W or n.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autosurrogate.surrogates import _losses
from autosurrogate.surrogates._layers import Perceptron, bounded, has_target
from autosurrogate.surrogates._monotone_mlp import MonotoneMLP
from autosurrogate.surrogates._shapes import expect


class TargetProbability(nn.Module):
    """After the paper's network for classes (ReLoss, eq. 10): a perceptron on the probabilities of the target's class.

    It is given their distribution over the pixels of an image, as means of the eight Bernstein polynomials of degree
    7, and averages images.

    Args:
        width: hidden units; 128 in the paper.
        n_hidden: hidden layers; 3, so four layers of weights, in the paper.
    """

    FEATURE_SETTINGS = ()
    BINOMIALS = (1, 7, 21, 35, 35, 21, 7, 1)

    def __init__(self, width: int = 128, n_hidden: int = 3) -> None:
        super().__init__()
        self.binomials = self.BINOMIALS
        self.layers = Perceptron(len(self.BINOMIALS), width, n_hidden, 1)

    def n_rows(self, set_size: int) -> int:
        """Rows of `features` for each point."""
        return set_size

    def feature_names(self) -> list[str]:
        """A name for each column of `features`."""
        return [*(f"about {k}/7" for k in range(8)), "kept"]

    def features(self, logits: Tensor, target: Tensor, kept: Tensor, set_size: int) -> Tensor:
        """Shape (n, 9); the last is whether the image has a pixel with a target."""
        probability = logits.softmax(1).gather(1, target.unsqueeze(1)).squeeze(1)
        n_kept = kept.sum((1, 2)).clamp_min(1)
        features: list[Tensor] = []
        for k, ways in enumerate(self.binomials):
            polynomial = ways * probability**k * (1 - probability) ** (7 - k)
            features.append((polynomial * kept).sum((1, 2)) / n_kept)
        features.append(kept.amax((1, 2)))
        return torch.stack(features, 1)

    def score(self, features: Tensor, n_rows: int) -> Tensor:
        """One number a point, shape (n // n_rows,)."""
        weight = features[:, 8].view(-1, n_rows)
        each = self.layers(features[:, :8]).view(-1, n_rows)
        return (each * weight).sum(1) / weight.sum(1).clamp_min(1)


class Overlap(nn.Module):
    """Soft counts of the pixels of each class: what IoU and Dice are made of, over a set and over its images.

    Args:
        temperatures: of the softmax; small ones see the argmax, large ones reach pixels far from the border between
            two classes with their gradient.
        width: hidden units.
        n_hidden: hidden layers.
    """

    FEATURE_SETTINGS = ("temperatures",)
    PER_TEMPERATURE = (
        "image iou", "image dice", "image foreground dice",
        "iou", "dice", "foreground iou", "foreground dice", "recall", "precision", "accuracy", "weighted iou",
    )  # fmt: skip

    def __init__(self, temperatures: list[float], width: int = 32, n_hidden: int = 2) -> None:
        super().__init__()
        self.temperatures = [float(t) for t in temperatures]
        self.layers = MonotoneMLP(len(self.feature_names()) - 2, 2, width, n_hidden)

    def n_rows(self, set_size: int) -> int:
        """Rows of `features` for each point: the pixels of a point are counted together."""
        return 1

    def feature_names(self) -> list[str]:
        """A name for each column of `features`."""
        names = [f"{name} at {t:g}" for t in self.temperatures for name in self.PER_TEMPERATURE]
        return [*names, "classes", "balance"]

    def features(self, logits: Tensor, target: Tensor, kept: Tensor, set_size: int) -> Tensor:
        """Shape (n // set_size, n_features)."""
        truth = _one_hot(logits, target, kept)
        actual = truth.sum((2, 3))
        of_set = _total(actual, set_size)
        n_pixels = of_set.sum(1).clamp_min(1)
        n_classes = (of_set > 0).to(logits.dtype).sum(1).clamp_min(1)
        foreground = (torch.arange(logits.size(1), device=logits.device) > 0).to(logits.dtype)
        features: list[Tensor] = []
        for temperature in self.temperatures:
            probability = (logits / temperature).softmax(1) * kept.unsqueeze(1)
            hits, called = (probability * truth).sum((2, 3)), probability.sum((2, 3))
            there = probability.amax((2, 3))
            occurs = _occurs(actual, there)
            iou, dice = _iou_and_dice(hits, called, actual)
            features += [
                _mean_of_images(_over_classes(iou, occurs), actual, set_size),
                _mean_of_images(_over_classes(dice, occurs), actual, set_size),
                _mean_of_images(_over_classes(dice, occurs * foreground), actual, set_size),
            ]
            hits, called = _total(hits, set_size), _total(called, set_size)
            occurs = _occurs(of_set, there.view(-1, set_size, there.size(1)).amax(1))
            iou, dice = _iou_and_dice(hits, called, of_set)
            features += [
                _over_classes(iou, occurs),
                _over_classes(dice, occurs),
                _over_classes(iou, occurs * foreground),
                _over_classes(dice, occurs * foreground),
                (hits / of_set.clamp_min(1)).sum(1) / n_classes,
                _over_classes(hits / (called + 0.1), occurs),
                hits.sum(1) / n_pixels,
                (iou * of_set).sum(1) / n_pixels,
            ]
        features += [1 / n_classes, of_set.square().sum(1) / n_pixels.square()]
        return torch.stack(features, 1)

    def score(self, features: Tensor, n_rows: int) -> Tensor:
        """One number a point, shape (n_points,)."""
        return self.layers(features).squeeze(1)


class Boundary(nn.Module):
    """Soft boundaries of each class, matched within some pixels: what boundary F1 is made of; and Dice.

    A pixel is on the soft boundary of a class by as much as its probability exceeds the smallest of its four
    neighbours'. Precision is the share of the predicted boundary that lies near the target's, recall the share of the
    target's boundary that has some of the predicted one near. Means over the classes of an image, then over images.

    Args:
        temperatures: of the softmax; small ones see the argmax.
        radii: what is near, in pixels, ascending.
        width: hidden units.
        n_hidden: hidden layers.
    """

    FEATURE_SETTINGS = ("temperatures", "radii")

    def __init__(self, temperatures: list[float], radii: list[int], width: int = 32, n_hidden: int = 2) -> None:
        super().__init__()
        self.temperatures = [float(t) for t in temperatures]
        self.radii = [int(r) for r in radii]
        n_context = len(temperatures) + 2
        self.layers = MonotoneMLP(len(self.feature_names()) - n_context, n_context, width, n_hidden)

    def n_rows(self, set_size: int) -> int:
        """Rows of `features` for each point."""
        return 1

    def feature_names(self) -> list[str]:
        """A name for each column of `features`."""
        names: list[str] = []
        for t in self.temperatures:
            names.append(f"dice at {t:g}")
            names += [f"{kind} within {r} at {t:g}" for r in self.radii for kind in ("precision", "recall", "f1")]
        return [*names, *(f"longer at {t:g}" for t in self.temperatures), "classes", "share"]

    def features(self, logits: Tensor, target: Tensor, kept: Tensor, set_size: int) -> Tensor:
        """Shape (n // set_size, n_features)."""
        truth = _one_hot(logits, target, kept)
        actual = truth.sum((2, 3))
        left_out = 1 - kept.unsqueeze(1)
        edge = _edge(truth, left_out)
        length = edge.sum((2, 3))
        near: list[Tensor] = []
        for radius in self.radii:
            near.append(_spread(edge, radius))
        features: list[Tensor] = []
        longer: list[Tensor] = []
        for temperature in self.temperatures:
            probability = (logits / temperature).softmax(1) * kept.unsqueeze(1)
            _, dice = _iou_and_dice((probability * truth).sum((2, 3)), probability.sum((2, 3)), actual)
            own = _edge(probability, left_out)
            own_length, has_edge = own.sum((2, 3)), _occurs(length, own.amax((2, 3)))
            found = [_over_classes(dice, _occurs(actual, probability.amax((2, 3))))]
            longer.append(own_length.sum(1) / (own_length + length).sum(1).clamp_min(1))
            spread, reached = own, 0
            for k, radius in enumerate(self.radii):
                spread, reached = _spread(spread, radius - reached), radius
                precision = (own * near[k]).sum((2, 3)) / (own_length + 0.01)
                recall = (edge * spread).sum((2, 3)) / length.clamp_min(1)
                f1 = 2 * precision * recall / (precision + recall + 0.001)
                found += [_over_classes(share, has_edge) for share in (precision, recall, f1)]
            features += [_mean_of_images(one, actual, set_size) for one in found]
        n_classes = (length > 0).to(logits.dtype).sum(1).clamp_min(1)
        share = length.sum(1) / actual.sum(1).clamp_min(1)
        longer += [1 / n_classes, share]
        features += [_mean_of_images(one, actual, set_size) for one in longer]
        return torch.stack(features, 1)

    def score(self, features: Tensor, n_rows: int) -> Tensor:
        """One number a point, shape (n_points,)."""
        return self.layers(features).squeeze(1)


def _one_hot(logits: Tensor, target: Tensor, kept: Tensor) -> Tensor:
    """1 at the target's class of each pixel that has one, else 0, shape of `logits`."""
    return torch.zeros_like(logits).scatter(1, target.unsqueeze(1), kept.unsqueeze(1))


def _total(by_image: Tensor, set_size: int) -> Tensor:
    """Sums over the images of each point, (n, C) to (n // set_size, C)."""
    return by_image.view(-1, set_size, by_image.size(1)).sum(1)


def _iou_and_dice(hits: Tensor, called: Tensor, actual: Tensor) -> tuple[Tensor, Tensor]:
    """Of each class, from its pixels: rightly predicted, predicted, and of the target; all of one shape."""
    both = called + actual
    return hits / (both - hits + 1e-6), 2 * hits / (both + 1e-6)


def _occurs(actual: Tensor, there: Tensor) -> Tensor:
    """How much each class occurs: 1 if the target has it, else by as much as the prediction has it; shape (n, C).

    Args:
        actual: above 0 where the target has the class.
        there: how much the prediction has it, in [0, 1].
    """
    return torch.where(actual > 0, torch.ones_like(there), there)


def _over_classes(values: Tensor, occurs: Tensor) -> Tensor:
    """Means over the classes that occur, (n, C) to (n,); values are 0 for those that the target has not."""
    return (values * occurs).sum(1) / occurs.sum(1).clamp_min(1e-3)


def _mean_of_images(values: Tensor, actual: Tensor, set_size: int) -> Tensor:
    """Means over the images of each point that have a target, (n,) to (n // set_size,).

    Args:
        values: of each image.
        actual: pixels of each class of the target, (n, C).
        set_size: images a point.
    """
    weight = (actual.sum(1) > 0).to(values.dtype).view(-1, set_size)
    return (values.view(-1, set_size) * weight).sum(1) / weight.sum(1).clamp_min(1)


def _edge(share: Tensor, left_out: Tensor) -> Tensor:
    """By how much each pixel exceeds the least of its four neighbours, shape of `share`.

    Args:
        share: of each pixel that belongs to a class, (n, C, H, W); 0 where there is no target.
        left_out: 1 where there is no target, else 0, (n, 1, H, W); such pixels make no edge.
    """
    return (share + _spread(-share - left_out, 1)) * (1 - left_out)


def _spread(values: Tensor, radius: int) -> Tensor:
    """The largest of the pixels that are at most `radius` steps away, along rows and columns, shape of `values`."""
    for _ in range(radius):
        across = F.max_pool2d(values, (3, 1), 1, (1, 0))
        values = across + F.relu(F.max_pool2d(values, (1, 3), 1, (0, 1)) - across)
    return values


NETWORKS = {"overlap": Overlap, "boundary": Boundary, "target_probability": TargetProbability}


class SetLoss(_losses.SetLoss):
    """The loss of a whole batch as one set, of logits (n, C, H, W) and target (n, H, W); -100 is left out."""

    def features(self, preds: Tensor, target: Tensor, set_size: int) -> Tensor:
        """The network's features of images of which each `set_size` make a point."""
        fits = preds.dim() == 4 and target.dim() == 3
        fits = fits and preds.size(0) == target.size(0) and preds.shape[2:] == target.shape[1:]
        expect(fits, preds, target, "logits (n, C, H, W) and classes (n, H, W)")
        kept = has_target(target)
        return self.network.features(bounded(preds), target.long() * kept, kept.to(torch.float32), set_size)


class SampleLoss(_losses.TargetedSampleLoss, SetLoss):
    """The mean loss of the images of a batch that have a target."""

    def valid(self, target: Tensor) -> Tensor:
        """Which images have a pixel with a target, bool (n,)."""
        return has_target(target).flatten(1).any(1)
