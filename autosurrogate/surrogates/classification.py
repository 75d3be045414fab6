"""Networks for classification.

Every network is given n examples, `set_size` for each point:

    logits   (n, C), as models give them: see `bounded`
    target   (n,), int64, 0 where there is none
    valid    (n,), float32: 1 where there is a target, else 0

No parameter depends on C or n.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from autosurrogate.surrogates import _losses
from autosurrogate.surrogates._classification_counts import Confusion, Ordinal
from autosurrogate.surrogates._classification_general import General, GeneralOrdinal
from autosurrogate.surrogates._classification_margins import margins_to_strongest, relative_to_mean
from autosurrogate.surrogates._layers import Perceptron, bounded, has_target, weighted_means
from autosurrogate.surrogates._monotone_mlp import MonotoneMLP
from autosurrogate.surrogates._shapes import expect


class TargetProbability(nn.Module):
    """The paper's network (ReLoss, eq. 10): a perceptron on the probability of the target class, averaged.

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
        return ["probability", "kept"]

    def features(self, logits: Tensor, target: Tensor, valid: Tensor, set_size: int) -> Tensor:
        """Shape (n, 2)."""
        probability = bounded(logits).softmax(1).gather(1, target.unsqueeze(1)).squeeze(1)
        return torch.stack([probability * valid, valid], 1)

    def score(self, features: Tensor, n_rows: int) -> Tensor:
        """One number for each point, shape (n // n_rows,)."""
        return weighted_means(self.layers(features[:, :1]), features[:, 1], n_rows).squeeze(1)


class Margin(nn.Module):
    """Margins to the strongest competitors at several temperatures, a perceptron for each example, one for the mean.

    A competitor is any class but the target; the k-th strongest decides top-k accuracy.

    Args:
        temperatures: margins are seen through tanh(margin / (2 · temperature)); small ones see the order alone,
            large ones reach examples far from the border with their gradient.
        relative_temperatures: the same of margins relative to the mean margin of the point, which see the order at any
            scale of the logits.
        n_competitors: how many of the strongest are seen.
        width: hidden units.
        n_outputs: size of the description of an example.
    """

    FEATURE_SETTINGS = ("temperatures", "relative_temperatures", "n_competitors")
    relative_temperatures: list[float]  # which may be empty

    def __init__(
        self,
        temperatures: list[float],
        n_competitors: int = 5,
        width: int = 32,
        n_outputs: int = 8,
        relative_temperatures: Sequence[float] = (),
    ) -> None:
        super().__init__()
        self.temperatures = [float(t) for t in temperatures]
        self.relative_temperatures = [float(t) for t in relative_temperatures]
        self.n_competitors = n_competitors
        n_temperatures = len(temperatures) + len(relative_temperatures)
        self.example = MonotoneMLP(n_temperatures * n_competitors, 0, width, 2, n_outputs)
        self.point = MonotoneMLP(n_outputs, 0, width, 1)

    def n_rows(self, set_size: int) -> int:
        """Rows of `features` for each point."""
        return set_size

    def feature_names(self) -> list[str]:
        """A name for each column of `features`."""
        names = [f"margin {k} at {t:g}" for t in self.temperatures for k in range(self.n_competitors)]
        names += [f"margin {k} relative {t:g}" for t in self.relative_temperatures for k in range(self.n_competitors)]
        return [*names, "kept"]

    def features(self, logits: Tensor, target: Tensor, valid: Tensor, set_size: int) -> Tensor:
        """Shape (n, n_features)."""
        margins = margins_to_strongest(logits, target, self.n_competitors)
        features: list[Tensor] = []
        for temperature in self.temperatures:
            features.append(torch.tanh(margins / (2 * temperature)))
        relative = relative_to_mean(margins, margins, valid, set_size)
        for temperature in self.relative_temperatures:
            features.append(torch.tanh(relative / (2 * temperature)))
        return torch.cat([torch.cat(features, 1) * valid.unsqueeze(1), valid.unsqueeze(1)], 1)

    def score(self, features: Tensor, n_rows: int) -> Tensor:
        """One number for each point, shape (n // n_rows,)."""
        return self.point(-weighted_means(self.example(features[:, :-1]), features[:, -1], n_rows)).squeeze(1)


NETWORKS = {
    "margin": Margin,
    "confusion": Confusion,
    "ordinal": Ordinal,
    "general": General,
    "general_ordinal": GeneralOrdinal,
    "target_probability": TargetProbability,
}


class SetLoss(_losses.SetLoss):
    """The loss of a whole batch as one set: preds are logits (n, C), target classes (n,), of which -100 is left out."""

    def features(self, preds: Tensor, target: Tensor, set_size: int) -> Tensor:
        """The network's features of examples, `set_size` for each point."""
        fits = preds.dim() == 2 and target.dim() == 1 and preds.size(0) == target.size(0)
        expect(fits, preds, target, "logits (n, C) and classes (n,)")
        valid = has_target(target)
        return self.network.features(preds, target.long() * valid, valid.to(torch.float32), set_size)


class SampleLoss(_losses.TargetedSampleLoss, SetLoss):
    """The mean loss of the examples of a batch that have a target."""

    def valid(self, target: Tensor) -> Tensor:
        """Which examples have a target, bool (n,)."""
        return has_target(target)
