"""Networks for metrics of the order of scores: ROC AUC, average precision, precision at k."""

import math

import torch
from torch import Tensor, nn

from autosurrogate.surrogates._layers import along_first, matmul, mean_of_last
from autosurrogate.surrogates._monotone_mlp import MonotoneMLP
from autosurrogate.surrogates._scores_operating import odds, standardised

N_CONTEXT = 2  # features that do not depend on the logits


class Order(nn.Module):
    """ROC AUC and average precision from soft ranks.

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
        fraction = weight / n_positive.clamp_min(1).unsqueeze(2)
        mixed = ((n_positive > 0) & (n_negative > 0)).to(logits.dtype)
        negatives_above = (fraction * (rank - among_positives)).sum(3)
        auc = mean_of_last(1 - negatives_above / n_negative.clamp_min(1), mixed)
        precision = mean_of_last((fraction * among_positives / rank).sum(3), mixed)
        context = torch.stack([target.mean(2).mean(1), (1 / n_positive.clamp_min(1)).mean(1)], 1)
        return torch.cat([odds(auc).t(), odds(precision).t(), context], 1)

    def score(self, features: Tensor, n_rows: int) -> Tensor:
        """One number for each point, shape (n_points,)."""
        return self.layers(features).squeeze(1)


class Top(nn.Module):
    """Precision among the items that score highest, from soft ranks.

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
        temperatures = along_first(self.temperatures, rank)
        n_items = torch.ones_like(target).sum(2).unsqueeze(2)
        features: list[Tensor] = []
        for top in self.tops:
            k = n_items.clamp(max=top)
            within = torch.sigmoid((k + 0.5 - rank) / (0.15 + 0.5 * temperatures * k))
            features.append(((within * weight).sum(3) / k.squeeze(2)).mean(2).t())
        positives = target.sum(2).clamp_min(1)
        features.append(torch.stack([target.mean(2).mean(1), (1 / positives).mean(1)], 1))
        return torch.cat(features, 1)

    def score(self, features: Tensor, n_rows: int) -> Tensor:
        """One number for each point, shape (n_points,)."""
        return self.layers(features).squeeze(1)


def _ranks(logits: Tensor, target: Tensor, temperatures: list[float]) -> tuple[Tensor, Tensor, Tensor]:
    """Soft ranks of positives, 1 for the highest.

    Item j stands above item i by sigmoid((logit j - logit i) / temperature), the temperature being given per standard
    deviation of the logits: only their order counts, however far they spread and wherever they lie. Of more than 128
    positives some are left out, so that the cost grows with the items and not with their square.

    Args:
        logits: shape (n_points, n_labels, n_items).
        target: of the same shape.
        temperatures: n of them, per standard deviation.

    Returns:
        The ranks among all items and those among the positives, both (n, n_points, n_labels, 128), and for how many
        positives each stands, (n_points, n_labels, 128); 0 where there are fewer.
    """
    scores = standardised(logits)
    place, weight = _some_positives(scores, target)
    own = scores.gather(2, place)
    column = along_first(temperatures, scores)
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
    linear = matmul(slopes, counted * scores.unsqueeze(4)) - matmul(slopes, counted) * own.unsqueeze(4)
    return matmul(with_itself, counted) - 0.5 + (linear - linear.detach())
