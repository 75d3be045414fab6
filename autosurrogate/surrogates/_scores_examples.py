"""A network for metrics of examples with several labels: which labels each example is given, and in which order."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from autosurrogate.surrogates._heads import build_head
from autosurrogate.surrogates._layers import calmed, mean_of_last
from autosurrogate.surrogates._scores_operating import counts_by_rank, order_statistics, standardised

N_CONTEXT = 3  # features that do not depend on the logits
EXAMPLE_RATES = ("recall", "precision", "f1", "jaccard", "agreement", "all right", "number", "any right")
ORDERS = ("pairs", "first", "reciprocal rank", "average precision", "depth", "perfect")
EVERY_LABEL = ("worst f1", "best f1", "f1 by prevalence", "f1 of all", "worst roc auc", "best roc auc", "roc auc")


class LabelSets(nn.Module):
    """Soft counts and soft ranks of the labels of each example, averaged over the examples.

    A label is given to an example where its logit is above 0. Counted for each example are the rates that metrics of
    label sets are made of, and the number of labels; of the order of an example's labels, pairs of a true and a false
    one, the first label, and the ranks of true ones. Of each label, F1 and the area under the ROC curve are pooled over
    the labels in other ways than by their mean.

    Args:
        temperatures: of the counts and ranks, per mean distance of a set's logits from 0.
        head: "monotone": the loss falls as any of these qualities rises; "free": a perceptron.
        width: hidden units.
        n_hidden: hidden layers.
    """

    FEATURE_SETTINGS = ("temperatures",)
    VIEWS: ClassVar[Mapping[str, Sequence[str]]] = {"multilabel": ("set",)}

    def __init__(self, temperatures: list[float], head: str = "monotone", width: int = 32, n_hidden: int = 2) -> None:
        super().__init__()
        self.temperatures = [float(t) for t in temperatures]
        n_features = len(self.feature_names())
        self.layers = build_head(head, n_features - N_CONTEXT, N_CONTEXT, width, n_hidden)

    def n_rows(self, set_size: int) -> int:
        """Rows of `features` for each point."""
        return 1

    def feature_names(self) -> list[str]:
        """A name for each column of `features`: qualities, then context."""
        names = [*(f"{name} of examples" for name in (*EXAMPLE_RATES, *ORDERS)), *EVERY_LABEL]
        context = ["prevalence", "examples without labels", "1 / labels"]
        return [*(f"{name} by {t:g}" for t in self.temperatures for name in names), *context]

    def features(self, logits: Tensor, target: Tensor, set_size: int) -> Tensor:
        """Shape (n_points, n_features)."""
        spread = logits.abs().mean(2, keepdim=True).mean(1, keepdim=True) + 1e-6
        margin = calmed(logits / spread, spread)
        centred = logits - logits.mean(2, keepdim=True)
        distance = (centred.square().mean(2, keepdim=True).mean(1, keepdim=True) + 1e-12).sqrt()
        place = calmed(centred / distance, distance)
        by_label, targets = standardised(logits.transpose(1, 2)), target.transpose(1, 2)
        features: list[Tensor] = []
        for temperature in self.temperatures:
            given = torch.sigmoid(margin / temperature)
            features += [
                _of_label_sets(given, target).mean(1),
                _of_orders(place / temperature, target),
                _of_labels(given, target, _area(by_label, targets, temperature)),
            ]
        has_labels = (target.sum(2) > 0).to(logits.dtype)
        context = [target.mean(2).mean(1), 1 - has_labels.mean(1), 1 / torch.ones_like(target).sum(2).mean(1)]
        features.append(torch.stack(context, 1))
        return torch.cat(features, 1)

    def score(self, features: Tensor, n_rows: int) -> Tensor:
        """One number for each point, shape (n_points,)."""
        scores: Tensor = self.layers(features)
        return scores.squeeze(1)


def _of_label_sets(given: Tensor, target: Tensor, tiny: float = 0.01) -> Tensor:
    """What `EXAMPLE_RATES` names, of labels that are given or true, both (n_points, n, n_labels): (n_points, n, 8).

    No label given where none is true counts as right.
    """
    hits, called, actual = (given * target).sum(2), given.sum(2), target.sum(2)
    wrong = (given - target).abs()
    return torch.stack(
        [
            (hits + tiny) / (actual + tiny),
            (hits + tiny) / (called + tiny),
            (2 * hits + tiny) / (called + actual + tiny),
            (hits + tiny) / (called + actual - hits + tiny),
            1 - wrong.mean(2),
            torch.exp(torch.log1p(-0.999 * wrong).sum(2)),
            1 - (called - actual).abs() / torch.ones_like(target).sum(2),
            1 - torch.exp(torch.log1p(-0.999 * given * target).sum(2)),
        ],
        2,
    )


def _of_orders(scores: Tensor, target: Tensor) -> Tensor:
    """What `ORDERS` names, the mean over examples with true and false labels: (n_points, n, n_labels), (n_points, 6).

    Args:
        scores: in units of the temperature.
        target: of the same shape.
    """
    n_true, n_false = target.sum(2), (1 - target).sum(2)
    mixed = ((n_true > 0) & (n_false > 0)).to(scores.dtype)
    ahead = torch.sigmoid(scores.unsqueeze(2) - scores.unsqueeze(3))  # (n_points, n, i, j): j is ahead of i
    rank = 0.5 + ahead.sum(3)
    false_ahead = (ahead * (1 - target).unsqueeze(2)).sum(3)
    among_true = rank - false_ahead
    last = (rank * target).amax(2)
    qualities = torch.stack(
        [
            1 - (false_ahead * target).sum(2) / (n_true * n_false).clamp_min(1),
            (target * (4 * scores.clamp(-1e4, 1e4)).softmax(2)).sum(2),
            (target / rank).amax(2),
            (target * among_true / rank).sum(2) / n_true.clamp_min(1),
            1 - last / (n_true + n_false),
            torch.sigmoid(8 * (n_true + 0.5 - last)),
        ],
        1,
    )
    return mean_of_last(qualities, mixed.unsqueeze(1))


def _of_labels(given: Tensor, target: Tensor, area: Tensor) -> Tensor:
    """What `EVERY_LABEL` names, of labels that are given or true and areas (n_points, n_labels): (n_points, 7)."""
    hits, called, actual = (given * target).sum(1), given.sum(1), target.sum(1)
    f1 = 2 * hits / (called + actual + 1e-6)
    present = (actual > 0).to(given.dtype)
    mixed = present * ((1 - target).sum(1) > 0).to(given.dtype)
    return torch.stack(
        [
            -_largest(-f1, present),
            _largest(f1, present),
            (f1 * actual).sum(1) / actual.sum(1).clamp_min(1),
            2 * hits.sum(1) / (called.sum(1) + actual.sum(1) + 1e-6),
            -_largest(-area, mixed),
            _largest(area, mixed),
            mean_of_last(area, mixed),
        ],
        1,
    )


def _area(scores: Tensor, target: Tensor, temperature: float, n_thresholds: int = 16) -> Tensor:
    """The area under the ROC curve of each label, (n_points, n_labels): of standardised scores and target."""
    n_positive = target.sum(2, keepdim=True)
    share = (torch.arange(n_thresholds, dtype=scores.dtype, device=scores.device) + 0.5) / n_thresholds
    weights = order_statistics(scores, target, share * n_positive)
    false = counts_by_rank(scores, target, weights, [temperature])[:, :, 0, :, 1]
    return 1 - false.mean(2) / (1 - target).sum(2).clamp_min(1)


def _largest(values: Tensor, counted: Tensor, temperature: float = 0.02) -> Tensor:
    """About the largest of those that count, over the last axis: the logarithm of a mean of exponentials; 0 of none."""
    n_counted = counted.sum(-1, keepdim=True)
    top = values.detach().masked_fill(counted == 0, -1e4).amax(-1, keepdim=True)
    relative = (values - top).clamp(max=0.0) / temperature
    mean = (counted * torch.exp(relative)).sum(-1) / n_counted.squeeze(-1).clamp_min(1)
    return (top.squeeze(-1) + temperature * torch.log(mean + 1e-6)) * n_counted.squeeze(-1).clamp(max=1.0)
