"""Networks for values.

Every network is given n examples, `set_size` for each point:

    preds    (n, D), float32
    target   (n, D), float32

No parameter depends on D or n.
"""

import torch
from torch import Tensor, nn

from autosurrogate.surrogates import _losses
from autosurrogate.surrogates._layers import calmed
from autosurrogate.surrogates._monotone_mlp import MonotoneMLP
from autosurrogate.surrogates._shapes import expect
from autosurrogate.surrogates._values_order import about_quantiles, correlation, distribution, ranks
from autosurrogate.surrogates._values_statistics import Statistics

QUANTILES = (0.25, 0.5, 0.75, 0.9)


class Agreement(nn.Module):
    """Moments, quantiles of the errors, and soft ranks of each column, all in units of the target's spread in the set.

    The mean over the columns of each is taken. Moments: Pearson's correlation, concordance, mean squared error and
    offset. Quantiles of the absolute errors: means of the sorted errors about them. Ranks: the correlation of the
    target's ranks with those of the predictions, which are read off a smooth distribution function. Correlations are
    of predictions relative to their own spread, so that they are seen where the predictions are nearly constant.
    Beside these, the logarithm of the spread is added with a learned weight, for metrics in the target's own unit.

    Args:
        bandwidths: of the quantiles, as fractions of the set; small ones see the quantile alone.
        anchors: how many steps the distribution function of the predictions has; many see each pair's order.
        width: hidden units.
        n_hidden: hidden layers.
    """

    FEATURE_SETTINGS = ("bandwidths", "anchors")
    quantiles: Tensor

    def __init__(self, bandwidths: list[float], anchors: list[int], width: int = 16, n_hidden: int = 1) -> None:
        super().__init__()
        self.bandwidths = [float(h) for h in bandwidths]
        self.anchors = [int(k) for k in anchors]
        self.register_buffer("quantiles", torch.tensor(QUANTILES), persistent=False)
        self.layers = MonotoneMLP(len(self.feature_names()) - 1, 0, width, n_hidden)
        self.of_spread = nn.Parameter(torch.zeros(()))

    def n_rows(self, set_size: int) -> int:
        """Rows of `features` for each point."""
        return 1

    def feature_names(self) -> list[str]:
        """A name for each column of `features`."""
        names = ["pearson", "concordance", "-squared error", "-log squared error", "-offset", "-log mean error"]
        names += [f"-log error {q:g} within {h:g}" for h in self.bandwidths for q in QUANTILES]
        return [*names, *(f"rank correlation of {k}" for k in self.anchors), "log spread"]

    def features(self, preds: Tensor, target: Tensor, set_size: int) -> Tensor:
        """Shape (n // set_size, n_features)."""
        sizes = [preds.size(0) // set_size, set_size, preds.size(1)]
        preds, target = preds.view(sizes).transpose(1, 2), target.view(sizes).transpose(1, 2)  # (n_points, D, set_size)
        mean = target.mean(2, keepdim=True)
        spread = (target - mean).square().mean(2, keepdim=True).sqrt()
        constant = spread <= 1e-6 * mean.abs()  # up to rounding
        spread = torch.where(constant, torch.ones_like(spread), spread)
        error = (preds - target) / spread
        truth = (target - mean) / spread
        guess = (preds - mean) / spread
        offset, squared = error.mean(2), error.square().mean(2)
        centred = guess - guess.mean(2, keepdim=True)
        covariance = (centred * truth).mean(2)
        variance, of_truth = centred.square().mean(2), truth.square().mean(2)
        own_spread = (variance + 1e-12).sqrt().unsqueeze(2)
        relative = calmed(centred / own_spread, own_spread)
        size = error.abs().sort(2)[0]
        features = [
            (relative * truth).mean(2) / (of_truth + 1e-5).sqrt(),
            2 * covariance / (variance + of_truth + offset.square() + 1e-6),
            -torch.asinh(squared.mean(1, keepdim=True)).expand_as(squared),
            -torch.log(squared + 1e-3) / 2,
            -(offset.square() + 1e-4).sqrt(),
            -torch.log(size.mean(2) + 1e-2),
        ]
        for bandwidth in self.bandwidths:
            features += (-torch.log(about_quantiles(size, self.quantiles, bandwidth) + 1e-2)).unbind(2)
        true_ranks, ordered = ranks(truth), relative.sort(2)[0]
        for n_anchors in self.anchors:
            features.append(correlation(distribution(relative, ordered, n_anchors), true_ranks))
        features.append(torch.log(spread).squeeze(2))
        return torch.stack(features, 2).mean(1)

    def score(self, features: Tensor, n_rows: int) -> Tensor:
        """One number for each point, shape (n_points,)."""
        return self.layers(features[:, :-1]).squeeze(1) + self.of_spread * features[:, -1]


NETWORKS = {"agreement": Agreement, "statistics": Statistics}


class SetLoss(_losses.SetLoss):
    """The loss of a whole batch as one set: preds and target are values (n, D)."""

    def features(self, preds: Tensor, target: Tensor, set_size: int) -> Tensor:
        """The network's features of examples, `set_size` for each point."""
        expect(preds.dim() == 2 and preds.shape == target.shape, preds, target, "values (n, D) and as many")
        return self.network.features(preds.to(torch.float32), target.to(torch.float32), set_size)


class SampleLoss(_losses.SampleLoss, SetLoss):
    """The mean loss of the examples of a batch."""
