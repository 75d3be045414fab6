"""Networks for scores.

Every network is given, for points of a number of items (the examples of a set, or the labels of a single example):

    logits   (n_points, n_items, n_labels), float32, finite
    target   (n_points, n_items, n_labels), float32, 0 or 1

What is said of a label is averaged over the labels. No parameter depends on a size.
"""

import math

import torch
from torch import Tensor, nn

from autosurrogate.surrogates import _losses
from autosurrogate.surrogates._layers import Perceptron, bounded, calmed, matmul
from autosurrogate.surrogates._monotone_mlp import MonotoneMLP
from autosurrogate.surrogates._shapes import expect
from autosurrogate.tasks._perturbations import HOW_SURE

N_CONTEXT = 2  # features of `Order` and `Top` that say nothing of the logits


class TargetProbability(nn.Module):
    """The paper's network for classification (ReLoss, eq. 10): a perceptron on the probability of what is true.

    With labels, on the mean of these probabilities over the labels of an example.

    Args:
        width: hidden units; 128 in the paper.
        n_hidden: hidden layers; 3, so four layers of weights, in the paper.
    """

    FEATURE_SETTINGS = ()

    def __init__(self, width: int = 128, n_hidden: int = 3) -> None:
        super().__init__()
        self.layers = Perceptron(1, width, n_hidden, 1)

    def n_rows(self, set_size: int) -> int:
        """Rows of `features` for each point."""
        return set_size

    def feature_names(self) -> list[str]:
        """A name for each column of `features`."""
        return ["probability"]

    def features(self, logits: Tensor, target: Tensor, set_size: int) -> Tensor:
        """Shape (n_points * set_size, 1)."""
        probability = torch.sigmoid(logits * (2 * target - 1))
        return probability.view(logits.size(0) * set_size, -1).mean(1, keepdim=True)

    def score(self, features: Tensor, n_rows: int) -> Tensor:
        """One number a point, shape (n_points,)."""
        return self.layers(features).view(-1, n_rows).mean(1)


class Counts(nn.Module):
    """Soft counts of what is called positive, rightly or wrongly: what F1, MCC and balanced accuracy are made of.

    An item is called positive by sigmoid((logit - cut) / temperature), with the logit of the threshold as the cut,
    and the temperature per mean distance from it: only the side counts, however far the logits spread. The loss falls
    as any of the rates rises: losses that could trade them for each other ranked as well, and took F1 to zero where
    models were trained with them.

    Args:
        thresholds: probabilities; at each of them all is counted.
        temperatures: small ones see the side alone, large ones reach logits far from the cut with their gradient.
        width: hidden units.
        n_hidden: hidden layers.
    """

    FEATURE_SETTINGS = ("thresholds", "temperatures")
    RATES = ("recall", "specificity", "precision", "f1", "mcc", "f1 of all")

    def __init__(self, thresholds: list[float], temperatures: list[float], width: int = 32, n_hidden: int = 2) -> None:
        super().__init__()
        self.thresholds = [float(p) for p in thresholds]
        self.cuts = [math.log(p / (1 - p)) for p in self.thresholds]
        self.temperatures = [float(t) for t in temperatures]
        self.layers = MonotoneMLP(len(self.feature_names()) - 1, 1, width, n_hidden)

    def n_rows(self, set_size: int) -> int:
        """Rows of `features` for each point."""
        return 1

    def feature_names(self) -> list[str]:
        """A name for each column of `features`."""
        where = [f"at {p:g} by {t:g}" for p in self.thresholds for t in self.temperatures]
        return [*(f"{name} {place}" for place in where for name in self.RATES), "prevalence"]

    def features(self, logits: Tensor, target: Tensor, set_size: int) -> Tensor:
        """Shape (n_points, n_features)."""
        cuts = torch.tensor(self.cuts, dtype=logits.dtype, device=logits.device).view(-1, 1, 1, 1)
        away = logits - cuts
        spread = away.abs().mean(2, keepdim=True) + 0.01
        # With a new second axis for the temperatures: (n_thresholds, n_temperatures, n_points, n_items, n_labels).
        positive = torch.sigmoid(calmed(away / spread, spread).unsqueeze(1) / _column(self.temperatures, logits))
        one = 1 / torch.ones_like(target).sum(1)
        rates = _rates((positive * target).mean(3), positive.mean(3), target.mean(1), one)
        return torch.cat([rates.flatten(0, 1).transpose(0, 1).flatten(1), target.mean(1).mean(1, keepdim=True)], 1)

    def score(self, features: Tensor, n_rows: int) -> Tensor:
        """One number a point, shape (n_points,)."""
        return self.layers(features).squeeze(1)


class Sweep(Counts):
    """`Counts` at many thresholds, for a metric that minds where in between a probability lies."""

    NEEDED_FOR = HOW_SURE


def _column(temperatures: list[float], like: Tensor) -> Tensor:
    """The temperatures along the first of four axes, shape (n, 1, 1, 1)."""
    return torch.tensor(temperatures, dtype=like.dtype, device=like.device).view(-1, 1, 1, 1)


def _rates(hits: Tensor, called: Tensor, actual: Tensor, one: Tensor) -> Tensor:
    """What `Counts.RATES` names, shape (..., n_points, 6).

    Args:
        hits: share of the items that are positive and called so, shape (..., n_points, n_labels).
        called: share that is called positive, of the same shape.
        actual: share that is positive, shape (n_points, n_labels).
        one: the share that a single item is, of the same shape.
    """
    tiny = 1e-6
    present, missing = (actual > 0).to(hits.dtype), (actual < 1).to(hits.dtype)
    f1 = 2 * hits / (called + actual + tiny)
    mcc = (hits - called * actual) / (called * (1 - called) * (actual * (1 - actual)) + tiny * one).sqrt()
    rates = torch.stack(
        [hits / (actual + tiny), 1 - (called - hits) / (1 - actual + tiny), hits / (called + 0.1 * one)], -1
    )
    return torch.cat(
        [
            _mean(rates.transpose(-1, -2), torch.stack([present, missing, present], -2)),
            _mean(f1, torch.maximum(present, (called / one).clamp(max=1.0))).unsqueeze(-1),
            _mean(mcc, present * missing).unsqueeze(-1),
            (2 * hits.sum(-1) / (called.sum(-1) + actual.sum(-1) + tiny)).unsqueeze(-1),
        ],
        -1,
    )


def _mean(rates: Tensor, weight: Tensor) -> Tensor:
    """Weighted means over the labels, the last axis; 0 where all weights are."""
    return (rates * weight).sum(-1) / (weight.sum(-1) + 1e-6)


class Order(nn.Module):
    """ROC AUC and average precision made of soft ranks, see `_ranks`.

    Args:
        temperatures: of the ranks; small ones see the order alone, large ones reach far apart items with their slope.
        width: hidden units.
        n_hidden: hidden layers.
    """

    FEATURE_SETTINGS = ("temperatures",)

    def __init__(self, temperatures: list[float], width: int = 32, n_hidden: int = 2) -> None:
        super().__init__()
        self.temperatures = [float(t) for t in temperatures]
        self.layers = MonotoneMLP(len(self.feature_names()) - N_CONTEXT, N_CONTEXT, width, n_hidden)

    def n_rows(self, set_size: int) -> int:
        """Rows of `features` for each point."""
        return 1

    def feature_names(self) -> list[str]:
        """A name for each column of `features`."""
        names = [f"{name} by {t:g}" for name in ("roc auc", "average precision") for t in self.temperatures]
        return [*names, "prevalence", "1 / positives"]

    def features(self, logits: Tensor, target: Tensor, set_size: int) -> Tensor:
        """Shape (n_points, n_features)."""
        target = target.transpose(1, 2)
        rank, among_positives, weight = _ranks(logits.transpose(1, 2), target, self.temperatures)
        n_positive = target.sum(2)
        n_negative = (1 - target).sum(2)
        share = weight / n_positive.clamp_min(1).unsqueeze(2)
        mixed = ((n_positive > 0) & (n_negative > 0)).to(logits.dtype)
        negatives_above = (share * (rank - among_positives)).sum(3)
        auc = _mean(1 - negatives_above / n_negative.clamp_min(1), mixed)
        precision = _mean((share * among_positives / rank).sum(3), mixed)
        others = torch.stack([target.mean(2).mean(1), (1 / n_positive.clamp_min(1)).mean(1)], 1)
        return torch.cat([_odds(auc).t(), _odds(precision).t(), others], 1)

    def score(self, features: Tensor, n_rows: int) -> Tensor:
        """One number a point, shape (n_points,)."""
        return self.layers(features).squeeze(1)


class Top(nn.Module):
    """Precision among the items that score highest, made of soft ranks, see `_ranks`.

    Args:
        temperatures: of the ranks; small ones see the order alone, large ones reach far apart items with their slope.
        tops: among how many items; all of them where they are fewer.
        width: hidden units.
        n_hidden: hidden layers.
    """

    FEATURE_SETTINGS = ("temperatures", "tops")

    def __init__(self, temperatures: list[float], tops: list[int], width: int = 32, n_hidden: int = 2) -> None:
        super().__init__()
        self.temperatures = [float(t) for t in temperatures]
        self.tops = [float(k) for k in tops]
        self.layers = MonotoneMLP(len(self.feature_names()) - N_CONTEXT, N_CONTEXT, width, n_hidden)

    def n_rows(self, set_size: int) -> int:
        """Rows of `features` for each point."""
        return 1

    def feature_names(self) -> list[str]:
        """A name for each column of `features`."""
        names = [f"precision at {k:g} by {t:g}" for k in self.tops for t in self.temperatures]
        return [*names, "prevalence", "1 / positives"]

    def features(self, logits: Tensor, target: Tensor, set_size: int) -> Tensor:
        """Shape (n_points, n_features)."""
        target = target.transpose(1, 2)
        rank, _, weight = _ranks(logits.transpose(1, 2), target, self.temperatures)
        temperatures = _column(self.temperatures, rank)
        every = torch.ones_like(target).sum(2).unsqueeze(2)
        found: list[Tensor] = []
        for top in self.tops:
            k = every.clamp(max=top)
            within = torch.sigmoid((k + 0.5 - rank) / (0.15 + 0.5 * temperatures * k))
            found.append(((within * weight).sum(3) / k.squeeze(2)).mean(2).t())
        positives = target.sum(2).clamp_min(1)
        found.append(torch.stack([target.mean(2).mean(1), (1 / positives).mean(1)], 1))
        return torch.cat(found, 1)

    def score(self, features: Tensor, n_rows: int) -> Tensor:
        """One number a point, shape (n_points,)."""
        return self.layers(features).squeeze(1)


def _odds(share: Tensor) -> Tensor:
    """The logarithm of the odds, within 1.2 of 0, so that shares near 0 and 1 are told apart as others are."""
    share = share.clamp(0.0, 1.0)
    return torch.log((share + 0.01) / (1.01 - share)) / 4


def _ranks(logits: Tensor, target: Tensor, temperatures: list[float]) -> tuple[Tensor, Tensor, Tensor]:
    """Soft ranks of positives, 1 for the highest.

    Item j stands above item i by sigmoid((logit j - logit i) / temperature), the temperature being given per standard
    deviation of the logits: only their order counts, however far they spread and wherever they lie. Of more than 128
    positives some are left out, so that the cost grows with the items and not with their square.

    Args:
        logits: shape (n_points, n_labels, n_items).
        target: of the same shape.
        temperatures: a number of them, n.

    Returns:
        The ranks among all items and those among the positives, both (n, n_points, n_labels, 128), and for how many
        positives each stands, (n_points, n_labels, 128); 0 where there are fewer.
    """
    scores = logits - logits.mean(2, keepdim=True)
    spread = (scores.square().mean(2, keepdim=True) + 1e-4).sqrt()
    scores = calmed(scores / spread, spread)
    place, weight = _some_positives(scores, target)
    own = scores.gather(2, place)
    column = _column(temperatures, scores)
    ranks, among_positives = (1 + _above(own / column, scores / column, target)).unbind(4)
    return ranks, among_positives, weight


def _some_positives(scores: Tensor, target: Tensor, half: int = 64) -> tuple[Tensor, Tensor]:
    """The first `half` positives in the order of their scores, and as many of the others, evenly spaced.

    Returns:
        Their places among the items, and for how many positives each stands, both (n_points, n_labels, 2 * half).
    """
    order = scores.detach().masked_fill(target == 0, -math.inf).argsort(2, descending=True)
    n_positive = target.sum(2, keepdim=True)
    stride = ((n_positive - half) / half).clamp_min(1).expand(-1, -1, half)
    number = torch.arange(half, dtype=scores.dtype, device=scores.device).expand_as(stride)
    nth = torch.cat([number, half + ((number + 0.5) * stride).floor()], 2)
    weight = torch.cat([torch.ones_like(stride), stride], 2) * (nth < n_positive).to(stride.dtype)
    return order.gather(2, nth.long().clamp(max=scores.size(2) - 1)), weight


def _above(own: Tensor, scores: Tensor, target: Tensor) -> Tensor:
    """How many other items stand above each of some positives, softly, and how many positive ones.

    The slopes of the comparisons are taken as constants, which a gradient does not notice, so that the backward pass is
    a product of matrices.

    Args:
        own: scores of the positives, shape (n_temperatures, n_points, n_labels, n).
        scores: shape (n_temperatures, n_points, n_labels, n_items).
        target: shape (n_points, n_labels, n_items).

    Returns:
        Shape (n_temperatures, n_points, n_labels, n, 2).
    """
    counted = torch.stack([torch.ones_like(target), target], 3)
    with_itself = torch.sigmoid(scores.unsqueeze(3) - own.unsqueeze(4)).detach()
    slopes = with_itself * (1 - with_itself)
    moved = matmul(slopes, counted * scores.unsqueeze(4)) - matmul(slopes, counted) * own.unsqueeze(4)
    return matmul(with_itself, counted) - 0.5 + (moved - moved.detach())


NETWORKS = {
    "order": Order,
    "counts": Counts,
    "top": Top,
    "sweep": Sweep,
    "target_probability": TargetProbability,
}


class SetLoss(_losses.SetLoss):
    """The loss of a whole batch as one set: preds are logits (n,) or (n, K), target 0 or 1, of the same shape."""

    def features(self, preds: Tensor, target: Tensor, set_size: int) -> Tensor:
        """The network's features of examples of which each `set_size` make a point."""
        expect(
            preds.dim() in (1, 2) and preds.shape == target.shape,
            preds,
            target,
            "logits (n,) or (n, K) and 0 or 1 of the same shape",
        )
        n_points = preds.size(0) // set_size
        logits = bounded(preds).reshape(n_points, set_size, -1)
        positive = (target.to(torch.float32) > 0.5).to(torch.float32)
        return self.network.features(logits, positive.reshape(n_points, set_size, -1), set_size)


class SampleLoss(_losses.SampleLoss, SetLoss):
    """The mean loss of the examples of a batch, each of which is the set of its labels."""

    def features(self, preds: Tensor, target: Tensor, set_size: int) -> Tensor:
        """The network's features of each example."""
        fits = preds.dim() == 2 and preds.shape == target.shape
        expect(fits, preds, target, "logits (n, K) and 0 or 1 of the same shape")
        positive = (target.to(torch.float32) > 0.5).to(torch.float32)
        return self.network.features(bounded(preds).unsqueeze(2), positive.unsqueeze(2), set_size)
