"""A network for any metric of scores with two classes: rates along the operating curve, and probabilities."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autosurrogate.surrogates._heads import build_head
from autosurrogate.surrogates._layers import mean_of_last
from autosurrogate.surrogates._scores_operating import (
    counts_by_probability,
    counts_by_rank,
    odds,
    order_statistics,
    standardised,
    sums_of_probabilities,
)

RECALLS = (0.05, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.95, 1.0)  # but for the last, evenly spaced
FALSE_POSITIVE_RATES = (0.0, 0.01, 0.03, 0.1, 0.2, 0.3, 0.5)
SHARES = (0.01, 0.03, 0.1, 0.2, 0.5)  # of all items
TOPS = (1, 5, 20)  # items
COSTS = (0.05, 0.2, 1.0, 5.0, 20.0)  # of a false-positive rate of 1, where that of a false-negative rate of 1 is 1
BETAS = (0.5, 1.0, 2.0)
THRESHOLDS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9)
_CLASSES = ("positives", "negatives")
PROBABILITIES = (
    *(f"{what} of {who}" for what in ("probability", "log-likelihood", "squared error") for who in _CLASSES),
    *("likelihood ratio", "explained variance", "mean", "relative mean"),
)
CONTEXT = ("prevalence", "log odds of prevalence", "1 / positives", "1 / items")


class OperatingCurve(nn.Module):
    """The material of metrics of two classes: the operating curve at a grid of thresholds, and probabilities.

    Thresholds are given by rank (at a recall, at a false-positive rate, above a share or a number of the items) and by
    probability. At each of them items are counted softly, and what metrics are made of is computed from the counts:
    rates, precision, the best compromises between the rates over the whole curve. Of the probabilities themselves there
    are means, likelihoods and squared errors of both classes, and how well they agree with the targets' frequencies.

    Args:
        temperatures: of the counts; by rank per standard deviation of the logits, by probability per mean distance.
        head: "monotone": the loss falls as any of these qualities rises; "free": a perceptron, which also sees the sign
            of errors of the number of positives.
        width: hidden units.
        n_hidden: hidden layers.
    """

    FEATURE_SETTINGS = ("temperatures",)

    def __init__(self, temperatures: list[float], head: str = "monotone", width: int = 32, n_hidden: int = 2) -> None:
        super().__init__()
        self.temperatures = [float(t) for t in temperatures]
        self.recalls, self.rates, self.shares = list(RECALLS), list(FALSE_POSITIVE_RATES), list(SHARES)
        self.tops, self.costs, self.betas = [float(k) for k in TOPS], list(COSTS), list(BETAS)
        self.thresholds = list(THRESHOLDS)
        n_features = len(self.feature_names())
        self.n_seen = n_features - (0 if head == "free" else len(_free_names(self.temperatures)))
        n_qualities = n_features - len(CONTEXT) - len(_free_names(self.temperatures))
        self.layers = build_head(head, n_qualities, self.n_seen - n_qualities, width, n_hidden)

    def n_rows(self, set_size: int) -> int:
        """Rows of `features` for each point."""
        return 1

    def feature_names(self) -> list[str]:
        """A name for each column of `features`: qualities, context, and what rises and falls with no quality."""
        by_temperature = [
            *(f"specificity at recall {r:g}" for r in RECALLS),
            *(f"precision at recall {r:g}" for r in RECALLS),
            *(f"recall at false-positive rate {r:g}" for r in FALSE_POSITIVE_RATES),
            *(f"recall at share {s:g}" for s in SHARES),
            *(f"precision at {k}" for k in TOPS),
            "roc auc",
            "average precision",
            *(f"least cost {c:g}" for c in COSTS),
            *(f"best f{b:g}" for b in BETAS),
            *(
                f"{name} above {p:g}"
                for name in ("recall", "specificity", "precision", "negative precision", "number")
                for p in THRESHOLDS
            ),
            "calibration of bins",
        ]
        names = [f"{name} by {t:g}" for name in by_temperature for t in self.temperatures]
        return [*names, *PROBABILITIES, *CONTEXT, *_free_names(self.temperatures)]

    def features(self, logits: Tensor, target: Tensor, set_size: int) -> Tensor:
        """Shape (n_points, n_features)."""
        logits, target = logits.transpose(1, 2), target.transpose(1, 2)
        n_positive, n_negative = target.sum(2), (1 - target).sum(2)
        by_probability, excess = self._by_probability(logits, target, n_positive, n_negative)
        of_probabilities, of_mean = _of_probabilities(logits, target, n_positive, n_negative)
        context = torch.stack(
            [
                target.mean(2),
                torch.log((n_positive + 0.5) / (n_negative + 0.5)) / 4,
                1 / n_positive.clamp_min(1),
                1 / (n_positive + n_negative),
            ],
            2,
        )
        by_rank = self._by_rank(logits, target, n_positive, n_negative)
        return torch.cat([by_rank, by_probability, of_probabilities, context.mean(1), excess, of_mean], 1)

    def score(self, features: Tensor, n_rows: int) -> Tensor:
        """One number for each point, shape (n_points,)."""
        scores: Tensor = self.layers(features[:, : self.n_seen])
        return scores.squeeze(1)

    def _by_rank(self, logits: Tensor, target: Tensor, n_positive: Tensor, n_negative: Tensor) -> Tensor:
        """Features of thresholds by rank, each the mean over labels with both classes, (n_points, n)."""
        scores = standardised(logits)
        mixed = (n_positive.minimum(n_negative) > 0).to(logits.dtype)
        n_positive, n_negative = n_positive.unsqueeze(2), n_negative.unsqueeze(2)
        n_items = n_positive + n_negative
        tops = torch.minimum(_row(self.tops, logits), n_items)
        among_all = torch.cat([_row(self.shares, logits) * n_items, tops], 2)
        weights = torch.cat(
            [
                order_statistics(scores, target, _row(self.recalls, logits) * n_positive),
                order_statistics(scores, 1 - target, _row(self.rates, logits) * n_negative),
                order_statistics(scores, torch.ones_like(target), among_all),
            ],
            2,
        )
        counts = counts_by_rank(scores, target, weights, self.temperatures)  # (n_points, n_labels, m, n, 2)
        shares = counts / torch.stack([n_positive, n_negative], 3).unsqueeze(2).clamp_min(1)
        recall, rate = shares.unbind(4)
        precision = counts[..., 0] / (counts.sum(4) + 1e-6)
        n_recalls, n_rates, n_shares = len(self.recalls), len(self.rates), len(self.shares)
        specificity, precision = 1 - rate[..., :n_recalls], precision[..., :n_recalls]
        areas = torch.stack([specificity[..., :-1].mean(3), precision[..., :-1].mean(3)], 3)
        features = [
            specificity,
            precision,
            recall[..., n_recalls : n_recalls + n_rates + n_shares],
            counts[:, :, :, n_recalls + n_rates + n_shares :, 0] / tops.unsqueeze(2),
            odds(areas),
            _least_cost(recall, rate, _row(self.costs, logits)),
            _best_f(counts, n_positive.unsqueeze(2), _row(self.betas, logits)),
        ]
        return mean_of_last(torch.cat(features, 3).permute(0, 3, 2, 1), mixed[:, None, None]).flatten(1)

    def _by_probability(
        self, logits: Tensor, target: Tensor, n_positive: Tensor, n_negative: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Features of thresholds by probability, and signed errors of the numbers above them, both (n_points, n)."""
        counts = counts_by_probability(logits, target, self.thresholds, self.temperatures)
        actual = torch.stack([n_positive, n_negative], 2)[:, :, None, None]
        above, below = counts[..., :2], actual - counts[..., :2]  # of positives and of negatives
        n_items = actual.sum(4)
        right = torch.cat([above[..., :1], below[..., 1:]], 4)
        called = torch.stack([above.sum(4), below.sum(4)], 4)
        present = (actual > 0).to(logits.dtype).permute(0, 2, 3, 4, 1)
        rates = mean_of_last((right / actual.clamp_min(1)).permute(0, 2, 3, 4, 1), present)
        precisions = mean_of_last((right / (called + 0.1)).permute(0, 2, 3, 4, 1), present)
        excess = (called[..., 0] - actual[..., 0]) / n_items
        # The sums of probabilities and the numbers of positives between neighbouring thresholds.
        error = counts[..., 2] - counts[..., 0]
        whole = (torch.sigmoid(logits) - target).sum(2)[:, :, None, None].expand_as(error[..., :1])
        bins = torch.cat([error, torch.zeros_like(whole)], 3) - torch.cat([whole, error], 3)
        calibration = 1 - (bins.abs().sum(3, keepdim=True) / n_items).mean(1)
        numbers = 1 - excess.abs().mean(1)
        features = torch.cat(
            [rates.transpose(2, 3).flatten(2), precisions.transpose(2, 3).flatten(2), numbers, calibration], 2
        )
        # (n_points, m, n) to (n_points, n * m)
        return features.transpose(1, 2).flatten(1), excess.mean(1).transpose(1, 2).flatten(1)


def _of_probabilities(logits: Tensor, target: Tensor, n_positive: Tensor, n_negative: Tensor) -> tuple[Tensor, Tensor]:
    """What `PROBABILITIES` names, and the signed error and the uncertainty of the mean probability, (n_points, n).

    Args:
        logits: shape (n_points, n_labels, n_items).
        target: of the same shape.
        n_positive: shape (n_points, n_labels).
        n_negative: of the same shape.
    """
    sums = sums_of_probabilities(logits, target)
    actual = torch.stack([n_positive, n_negative], 2).unsqueeze(2)
    n_items = n_positive + n_negative
    present = (actual > 0).to(logits.dtype).permute(0, 2, 3, 1)
    right, surprise, squared = mean_of_last((sums / actual.clamp_min(1)).permute(0, 2, 3, 1), present).unbind(1)
    surprise_of_all, squared_of_all = (sums[:, :, 1:].sum(3) / n_items.unsqueeze(2)).unbind(2)
    p = (n_positive + 0.5) / (n_items + 1)
    entropy = -p * torch.log(p) - (1 - p) * torch.log(1 - p)
    expected = sums[:, :, 0, 0] + n_negative - sums[:, :, 0, 1]
    excess = (expected - n_positive) / n_items
    uncertainty = (sums[:, :, 0].sum(2) - n_items + sums[:, :, 2].sum(2)).neg() / n_items
    of_all = torch.stack(
        [
            -torch.log((surprise_of_all + 0.01) / entropy) / 4,
            -torch.log((squared_of_all + 1e-3) / (p * (1 - p))) / 4,
            1 - excess.abs(),
            -torch.log((expected + 0.5) / (n_positive + 0.5)).abs() / 4,
        ],
        2,
    )
    signed = torch.stack([excess, uncertainty], 2)
    return torch.cat([right, -torch.log1p(surprise), -squared, of_all.mean(1)], 1), signed.mean(1)


def _least_cost(recall: Tensor, rate: Tensor, costs: Tensor) -> Tensor:
    """What the best threshold gains over calling all positive or none, relative to what a perfect one would.

    Args:
        recall: of thresholds, shape (n_points, n_labels, m, n).
        rate: their false-positive rates, of the same shape.
        costs: shape (1, 1, k).

    Returns:
        Shape (n_points, n_labels, m, k), about in [0, 1].
    """
    gain = recall.unsqueeze(4) - costs * rate.unsqueeze(4)
    gain = (gain - (1 - costs).clamp_min(0)) / costs.clamp(max=1.0)
    return _largest(F.pad(gain, [0, 0, 0, 1]))


def _best_f(counts: Tensor, n_positive: Tensor, betas: Tensor) -> Tensor:
    """The largest F over thresholds: of true and false positives (n_points, n_labels, m, n, 2), (..., m, k)."""
    hits, squares = counts[..., :1], betas.square()
    return _largest((1 + squares) * hits / (squares * n_positive.unsqueeze(3) + counts.sum(4, keepdim=True) + 1e-6))


def _largest(values: Tensor, temperature: float = 0.01) -> Tensor:
    """About the largest over the last axis but one, which is dropped: a log-sum-exp, and a little more."""
    fixed = values.detach()
    largest, weights = (fixed / temperature).logsumexp(-2), (fixed / temperature).softmax(-2)
    return temperature * largest + (weights * (values - fixed)).sum(-2)


def _row(values: list[float], like: Tensor) -> Tensor:
    """Numbers along the last of three axes, on the device of `like` and in its dtype."""
    return torch.tensor(values, dtype=like.dtype, device=like.device).view(1, 1, -1)


def _free_names(temperatures: list[float]) -> list[str]:
    """Names of the features that rise and fall with no quality."""
    excess = [f"excess above {p:g} by {t:g}" for p in THRESHOLDS for t in temperatures]
    return [*excess, "excess of the mean", "uncertainty"]
