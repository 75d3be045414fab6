"""Networks for metrics of true and false positives: F1, MCC, balanced accuracy."""

import math

import torch
from torch import Tensor, nn

from autosurrogate.surrogates._layers import along_first, calmed, mean_of_last
from autosurrogate.surrogates._monotone_mlp import MonotoneMLP
from autosurrogate.tasks._perturbations import HOW_SURE


class Counts(nn.Module):
    """Soft counts of true and false positives: what F1, MCC and balanced accuracy are made of.

    An item is predicted positive by sigmoid((logit - cut) / temperature), with the logit of the threshold as the cut,
    and the temperature per mean distance from it: only the side counts, however far the logits spread. The loss falls
    as any of the rates rises: losses that could trade them for each other ranked as well, and took F1 to zero where
    models were trained with them.

    Args:
        thresholds: probabilities; everything is counted at each of them.
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
        distance = logits - cuts
        spread = distance.abs().mean(2, keepdim=True) + 1e-6
        # With a new second axis for the temperatures: (n_thresholds, n_temperatures, n_points, n_items, n_labels).
        margin = calmed(distance / spread, spread).unsqueeze(1)
        positive = torch.sigmoid(margin / along_first(self.temperatures, logits))
        of_one_item = 1 / torch.ones_like(target).sum(1)
        rates = _rates((positive * target).mean(3), positive.mean(3), target.mean(1), of_one_item)
        return torch.cat([rates.flatten(0, 1).transpose(0, 1).flatten(1), target.mean(1).mean(1, keepdim=True)], 1)

    def score(self, features: Tensor, n_rows: int) -> Tensor:
        """One number for each point, shape (n_points,)."""
        return self.layers(features).squeeze(1)


class Sweep(Counts):
    """`Counts` at many thresholds, for a metric that depends on where between 0 and 1 a probability lies."""

    NEEDED_FOR = HOW_SURE


def _rates(hits: Tensor, predicted: Tensor, actual: Tensor, of_one_item: Tensor) -> Tensor:
    """What `Counts.RATES` names, shape (..., n_points, 6).

    Args:
        hits: fraction of the items that are true positives, shape (..., n_points, n_labels).
        predicted: fraction that is predicted positive, of the same shape.
        actual: fraction that is positive, shape (n_points, n_labels).
        of_one_item: the fraction that a single item is, of the same shape.
    """
    tiny = 1e-6
    present, absent = (actual > 0).to(hits.dtype), (actual < 1).to(hits.dtype)
    f1 = 2 * hits / (predicted + actual + tiny)
    covariance = hits - predicted * actual
    variances = predicted * (1 - predicted) * (actual * (1 - actual))
    mcc = covariance / (variances + tiny * of_one_item).sqrt()
    rates = torch.stack(
        [hits / (actual + tiny), 1 - (predicted - hits) / (1 - actual + tiny), hits / (predicted + 0.1 * of_one_item)],
        -1,
    )
    return torch.cat(
        [
            mean_of_last(rates.transpose(-1, -2), torch.stack([present, absent, present], -2)),
            mean_of_last(f1, torch.maximum(present, (predicted / of_one_item).clamp(max=1.0))).unsqueeze(-1),
            mean_of_last(mcc, present * absent).unsqueeze(-1),
            (2 * hits.sum(-1) / (predicted.sum(-1) + actual.sum(-1) + tiny)).unsqueeze(-1),
        ],
        -1,
    )
