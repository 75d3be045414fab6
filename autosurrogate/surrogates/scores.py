"""Networks for scores.

Every network is given points of n_items items each (the examples of a set, or the labels of a single example):

    logits   (n_points, n_items, n_labels), float32, finite
    target   (n_points, n_items, n_labels), float32, 0 or 1

Features of labels are averaged over the labels. No parameter depends on a size.
"""

import torch
from torch import Tensor, nn

from autosurrogate.surrogates import _losses
from autosurrogate.surrogates._layers import Perceptron, bounded
from autosurrogate.surrogates._scores_counts import Counts, Sweep
from autosurrogate.surrogates._scores_curve import OperatingCurve
from autosurrogate.surrogates._scores_examples import LabelSets
from autosurrogate.surrogates._scores_ranks import Order, Top
from autosurrogate.surrogates._shapes import expect


class TargetProbability(nn.Module):
    """The paper's network for classification (ReLoss, eq. 10): a perceptron on the probability of the target.

    With several labels, on the mean of these probabilities over the labels of an example.

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
        """One number for each point, shape (n_points,)."""
        return self.layers(features).view(-1, n_rows).mean(1)


NETWORKS = {
    "order": Order,
    "counts": Counts,
    "top": Top,
    "sweep": Sweep,
    "operating_curve": OperatingCurve,
    "label_sets": LabelSets,
    "target_probability": TargetProbability,
}


class SetLoss(_losses.SetLoss):
    """The loss of a whole batch as one set: preds are logits (n,) or (n, K), target 0 or 1, of the same shape."""

    def features(self, preds: Tensor, target: Tensor, set_size: int) -> Tensor:
        """The network's features of examples, `set_size` for each point."""
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
