"""Networks for segmentation.

Every network is given n images, `set_size` for each point:

    logits   (n, C, H, W), float32, finite
    target   (n, H, W), int64, 0 where there is none
    valid    (n, H, W), float32: 1 where there is a target, else 0

No parameter depends on C, H, W or n.
"""

import torch
from torch import Tensor, nn

from autosurrogate.surrogates import _losses
from autosurrogate.surrogates._layers import Perceptron, bounded, has_target
from autosurrogate.surrogates._segmentation_boundary import Boundary
from autosurrogate.surrogates._segmentation_overlap import Overlap
from autosurrogate.surrogates._segmentation_regions import Regions
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

    def features(self, logits: Tensor, target: Tensor, valid: Tensor, set_size: int) -> Tensor:
        """Shape (n, 9); the last is whether the image has a pixel with a target."""
        probability = logits.softmax(1).gather(1, target.unsqueeze(1)).squeeze(1)
        n_valid = valid.sum((1, 2)).clamp_min(1)
        features: list[Tensor] = []
        for k, binomial in enumerate(self.binomials):
            polynomial = binomial * probability**k * (1 - probability) ** (7 - k)
            features.append((polynomial * valid).sum((1, 2)) / n_valid)
        features.append(valid.amax((1, 2)))
        return torch.stack(features, 1)

    def score(self, features: Tensor, n_rows: int) -> Tensor:
        """One number for each point, shape (n // n_rows,)."""
        weight = features[:, 8].view(-1, n_rows)
        losses = self.layers(features[:, :8]).view(-1, n_rows)
        return (losses * weight).sum(1) / weight.sum(1).clamp_min(1)


NETWORKS = {"overlap": Overlap, "boundary": Boundary, "regions": Regions, "target_probability": TargetProbability}


class SetLoss(_losses.SetLoss):
    """The loss of a whole batch as one set, of logits (n, C, H, W) and target (n, H, W); -100 is left out."""

    def features(self, preds: Tensor, target: Tensor, set_size: int) -> Tensor:
        """The network's features of images, `set_size` for each point."""
        fits = preds.dim() == 4 and target.dim() == 3
        fits = fits and preds.size(0) == target.size(0) and preds.shape[2:] == target.shape[1:]
        expect(fits, preds, target, "logits (n, C, H, W) and classes (n, H, W)")
        valid = has_target(target)
        return self.network.features(bounded(preds), target.long() * valid, valid.to(torch.float32), set_size)


class SampleLoss(_losses.TargetedSampleLoss, SetLoss):
    """The mean loss of the images of a batch that have a target."""

    def valid(self, target: Tensor) -> Tensor:
        """Which images have a pixel with a target, bool (n,)."""
        return has_target(target).flatten(1).any(1)
