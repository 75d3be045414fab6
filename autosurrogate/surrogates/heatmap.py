"""Networks for heatmaps.

Every network is given n examples, `set_size` for each point:

    maps     (n, K, H, W), float32, finite
    target   (n, K, H, W), float32
    weight   (n, K), float32: 1 where a keypoint is annotated, else 0

No parameter depends on K, H, W or n.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autosurrogate.surrogates import _losses
from autosurrogate.surrogates._heatmap_cells import mean_of_keypoints
from autosurrogate.surrogates._heatmap_geometry import Geometry
from autosurrogate.surrogates._heatmap_peaks import Peaks
from autosurrogate.surrogates._layers import Perceptron, bounded, weighted_means
from autosurrogate.surrogates._shapes import expect


class Embedding(nn.Module):
    """After the paper's: embeddings of both heatmaps, and the distance between them scored.

    The embeddings are averages of the maps over grids from coarse to fine, of the maps as they are and of maps scaled
    to length 1. Features have no parameters, so the perceptron weighs the distances and not the cells.

    Args:
        width: hidden units.
        n_hidden: hidden layers.
    """

    FEATURE_SETTINGS = ()
    GRIDS = (1, 2, 4, 8, 16)

    def __init__(self, width: int = 32, n_hidden: int = 2) -> None:
        super().__init__()
        self.grids = list(self.GRIDS)
        self.layers = Perceptron(2 * len(self.GRIDS), width, n_hidden, 1)

    def n_rows(self, set_size: int) -> int:
        """Rows of `features` for each point."""
        return set_size

    def feature_names(self) -> list[str]:
        """A name for each column of `features`."""
        return [*(f"{name} on {g}" for g in self.grids for name in ("distance", "turned")), "annotated"]

    def features(self, maps: Tensor, target: Tensor, weight: Tensor, set_size: int) -> Tensor:
        """Shape (n, n_features)."""
        of_keypoints: list[Tensor] = []
        for grid in self.grids:
            pred_cells = F.adaptive_avg_pool2d(maps, grid).flatten(2)
            target_cells = F.adaptive_avg_pool2d(target, grid).flatten(2)
            lengths = (pred_cells.square().sum(2) + 1e-8) * (target_cells.square().sum(2) + 1e-8)
            of_keypoints.append(((pred_cells - target_cells).square().mean(2) + 1e-8).sqrt())
            of_keypoints.append((pred_cells * target_cells).sum(2) / lengths.sqrt())
        return torch.cat([mean_of_keypoints(torch.stack(of_keypoints, 2), weight), weight.sum(1, keepdim=True)], 1)

    def score(self, features: Tensor, n_rows: int) -> Tensor:
        """One number for each point, shape (n // n_rows,)."""
        return weighted_means(self.layers(features[:, :-1]), features[:, -1], n_rows).squeeze(1)


NETWORKS = {"peaks": Peaks, "embedding": Embedding, "geometry": Geometry}


class SetLoss(_losses.SetLossWithExtra):
    """The loss of a whole batch as one set."""

    def features(self, preds: Tensor, target: Tensor, weight: Tensor | None, set_size: int) -> Tensor:
        """The network's features of examples, `set_size` for each point."""
        fits = preds.dim() == 4 and preds.shape == target.shape
        fits = fits and (weight is None or weight.shape == preds.shape[:2])
        expect(fits, preds, target, "heatmaps (n, K, H, W) of the same shape, and weight (n, K) or none")
        return self.network.features(bounded(preds), bounded(target), _annotated(preds, weight), set_size)

    def forward(self, preds: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Scalar, lower is better.

        Args:
            preds: heatmaps, shape (n, K, H, W).
            target: heatmaps, the same shape.
            weight: shape (n, K), any dtype; 0 for keypoints that are not annotated. Without it all are.
        """
        return self.points(preds, target, weight, preds.size(0))[0]


class SampleLoss(SetLoss):
    """The mean loss of the examples of a batch."""

    def forward(self, preds: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Scalar, lower is better: the mean of `per_sample` over the examples that have an annotated keypoint."""
        losses = self.per_sample(preds, target, weight)
        return losses.sum() / _annotated(preds, weight).amax(1).sum().clamp_min(1)

    @torch.jit.export
    def per_sample(self, preds: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The loss of each example, shape (n,); 0 where no keypoint is annotated."""
        return self.points(preds, target, weight, 1) * _annotated(preds, weight).amax(1)


def _annotated(preds: Tensor, weight: Tensor | None) -> Tensor:
    """1 where a keypoint is annotated, else 0, float32 (n, K)."""
    if weight is None:
        return torch.ones(preds.size(0), preds.size(1), dtype=torch.float32, device=preds.device)
    return (weight > 0).to(torch.float32)
