"""Networks for heatmaps.

Every network is given, for n examples of which each `set_size` make a point:

    maps     (n, K, H, W), float32, finite
    target   (n, K, H, W), float32
    weight   (n, K), float32: 1 where a keypoint is annotated, else 0

No parameter depends on K, H, W or n.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autosurrogate.surrogates import _losses
from autosurrogate.surrogates._layers import Perceptron, bounded, calmed, weighted_means
from autosurrogate.surrogates._monotone_mlp import MonotoneMLP
from autosurrogate.surrogates._shapes import expect

COCO_SIGMAS = [26, 25, 25, 35, 35, 79, 79, 72, 72, 62, 62, 107, 107, 87, 87, 89, 89]  # thousandths (cocodataset.org)
SIMILARITIES = [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95]  # that COCO averages AP over


def _of_examples(keypoints: Tensor, weight: Tensor) -> Tensor:
    """Means over the annotated keypoints of each example: (n, K, d) and (n, K) to (n, d)."""
    return (keypoints * weight.unsqueeze(2)).sum(1) / weight.sum(1, keepdim=True).clamp_min(1)


class Embedding(nn.Module):
    """After the paper's: embeddings of both heatmaps, and the distance between them scored.

    The embeddings are the map's averages over grids from coarse to fine, of the maps as they are and of maps brought to
    length 1. Features have no parameters, so that it is the distances that are weighed, not the cells.

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
            ours = F.adaptive_avg_pool2d(maps, grid).flatten(2)
            theirs = F.adaptive_avg_pool2d(target, grid).flatten(2)
            lengths = (ours.square().sum(2) + 1e-8) * (theirs.square().sum(2) + 1e-8)
            of_keypoints.append(((ours - theirs).square().mean(2) + 1e-8).sqrt())
            of_keypoints.append((ours * theirs).sum(2) / lengths.sqrt())
        return torch.cat([_of_examples(torch.stack(of_keypoints, 2), weight), weight.sum(1, keepdim=True)], 1)

    def score(self, features: Tensor, n_rows: int) -> Tensor:
        """One number a point, shape (n // n_rows,)."""
        return weighted_means(self.layers(features[:, :-1]), features[:, -1], n_rows).squeeze(1)


class Peaks(nn.Module):
    """Where the peaks of the maps are, softly: how far from the target's, within which radii, and which are ahead.

    A map is seen relative to its own height, so that neither scale nor offset matters; where that is less than the
    target's, as in untrained models, its gradient is that of a map as high as the target. From it come, at each
    temperature, probabilities of the cells; their distance from the target's peak and their share within each radius;
    margins of the best cell within a radius over the best beyond, which decide whether the maximum is within; and
    object keypoint similarities (COCO), with a soft average precision in the order of the peaks' heights.

    Args:
        temperatures: 1 is where a cell as high as a peak weighs as much as all of an empty map; small ones see the
            maximum alone.
        radii: shares of the map's longer side.
        width: hidden units.
        n_hidden: hidden layers.
    """

    FEATURE_SETTINGS = ("temperatures", "radii")
    sigmas: Tensor

    def __init__(self, temperatures: list[float], radii: list[float], width: int = 32, n_hidden: int = 2) -> None:
        super().__init__()
        self.temperatures = [float(t) for t in temperatures]
        self.radii = [float(r) for r in radii]
        self.similarities = list(SIMILARITIES)
        self.register_buffer("sigmas", torch.tensor(COCO_SIGMAS) / 1000, persistent=False)
        self.layers = MonotoneMLP(len(self.feature_names()), 0, width, n_hidden)

    def n_rows(self, set_size: int) -> int:
        """Rows of `features` for each point."""
        return 1

    def feature_names(self) -> list[str]:
        """A name for each column of `features`."""
        names: list[str] = []
        for t in self.temperatures:
            names += [*(f"margin {r:g} at {t:g}" for r in self.radii), f"nearness at {t:g}"]
            names += [f"within {r:g} at {t:g}" for r in self.radii]
            names += [f"{name} at {t:g}" for name in ("similarity", "similar", "precision")]
            names += [f"{name} by extent at {t:g}" for name in ("similarity", "similar", "precision")]
        return names

    def features(self, maps: Tensor, target: Tensor, weight: Tensor, set_size: int) -> Tensor:
        """Shape (n // set_size, n_features)."""
        cells = maps.flatten(2)
        peak = cells.amax(2, keepdim=True)
        height = _height(cells)
        relative = calmed((cells - peak) / height, height / _height(target.flatten(2)))
        x, y = _place(target)
        apart = _squares(x, y, maps.size(2), maps.size(3))
        distance = apart.sqrt() / max(maps.size(2), maps.size(3))
        within = torch.stack([distance <= r + 1e-6 for r in self.radii], 2)  # rounded, a distance may be a bit larger
        margins = _margins(relative, within)
        similar = self._similar(apart, x, y, weight, maps.size(2) * maps.size(3))
        seen = torch.cat([1 - distance.unsqueeze(2), within.to(maps.dtype), similar], 2).unbind(2)

        kept = weight.amax(1).view(-1, set_size)
        in_order = _in_order(peak.squeeze(2).mean(1).view(-1, set_size), kept)
        scale = torch.ones_like(cells[0, 0]).sum().log()  # cells as low as -1 then weigh, together, as much as the peak
        columns: list[Tensor] = []
        for temperature in self.temperatures:
            probability = (relative * (scale / temperature)).softmax(2)
            found = torch.stack([(probability * each).sum(2) for each in seen], 2)  # quicker here than one product
            found = _of_examples(torch.cat([torch.tanh(margins / temperature), found], 2), weight)
            columns.append(weighted_means(found[:, :-2], weight.sum(1), set_size))
            for guess in (-2, -1):
                columns.append(self._precision(found[:, guess].view(-1, set_size), kept, in_order))
        return torch.cat(columns, 1)

    def _similar(self, apart: Tensor, x: Tensor, y: Tensor, weight: Tensor, n_cells: int) -> Tensor:
        """Similarity of each cell to the target's peak, by two guesses of the person's area, (n, K, 2, H * W).

        A quarter of the map, as a box with a margin that is half filled; and from the extent of the keypoints.
        """
        whole = 0.25 * n_cells * torch.ones_like(weight[:, 0])
        extent = torch.maximum(0.6 * _extent(x, y, weight), 0.2 * whole)
        area = torch.stack([whole, extent], 1).unsqueeze(1)
        variance = 2 * (2 * self._sigmas(weight)).square()
        return torch.exp(-apart.unsqueeze(2) / (area * variance.unsqueeze(1)).unsqueeze(3))

    def _precision(self, similarity: Tensor, kept: Tensor, in_order: Tensor) -> Tensor:
        """Of each set: mean similarity, share of the similar examples, and their average precision, (n_points, 3)."""
        levels = torch.tensor(self.similarities, dtype=similarity.dtype, device=similarity.device)
        found = torch.sigmoid((similarity.unsqueeze(2) - levels) / 0.03)
        precision = (in_order.unsqueeze(3) * found.unsqueeze(1)).sum(2)
        columns = [similarity, found.mean(2), (found * precision).mean(2)]
        return (torch.stack(columns, 2) * kept.unsqueeze(2)).sum(1) / kept.sum(1, keepdim=True).clamp_min(1)

    def _sigmas(self, weight: Tensor) -> Tensor:
        """Standard deviation of each keypoint: COCO's where there are 17, else their mean, shape (K,)."""
        number = torch.arange(weight.size(1), device=weight.device)
        n_keypoints = torch.ones_like(number).sum()
        sigmas = self.sigmas[number.clamp(max=self.sigmas.size(0) - 1)]
        return torch.where(n_keypoints == self.sigmas.size(0), sigmas, self.sigmas.mean())

    def score(self, features: Tensor, n_rows: int) -> Tensor:
        """One number a point, shape (n_points,)."""
        return self.layers(features).squeeze(1)


def _height(cells: Tensor) -> Tensor:
    """By how much the maximum of each map is above its mean, and a little, (n, K, H * W) to (n, K, 1)."""
    return cells.amax(2, keepdim=True) - cells.mean(2, keepdim=True) + 1e-3


def _place(target: Tensor) -> tuple[Tensor, Tensor]:
    """(x, y) of the maximum of each map, in cells, float32 (n, K)."""
    place = target.flatten(2).argmax(2)
    width = target.size(3)
    x = (place % width).to(target.dtype)
    return x, torch.div(place, width, rounding_mode="floor").to(target.dtype)


def _squares(x: Tensor, y: Tensor, height: int, width: int) -> Tensor:
    """Squared distance of each cell from (x, y), in cells, (n, K, H * W)."""
    dx = torch.arange(width, dtype=x.dtype, device=x.device) - x.unsqueeze(2)
    dy = torch.arange(height, dtype=x.dtype, device=x.device) - y.unsqueeze(2)
    return (dy.square().unsqueeze(3) + dx.square().unsqueeze(2)).flatten(2)


def _extent(x: Tensor, y: Tensor, weight: Tensor) -> Tensor:
    """Cells of the box around the annotated keypoints of an example, shape (n,)."""
    absent = weight == 0
    sides: list[Tensor] = []
    for place in (x, y):
        side = place.masked_fill(absent, -1e6).amax(1) - place.masked_fill(absent, 1e6).amin(1) + 1
        sides.append(side.clamp_min(1))
    return sides[0] * sides[1]


def _margins(relative: Tensor, within: Tensor) -> Tensor:
    """By how much the best cell within each radius is ahead of the best beyond, shape (n, K, n_radii)."""
    cells = relative.detach().unsqueeze(2)
    inside = cells.masked_fill(~within, -1e6).argmax(3)
    outside = cells.masked_fill(within, -1e6).argmax(3)
    return (relative.gather(2, inside) - relative.gather(2, outside)).masked_fill(within.all(3), 1e6)


def _in_order(score: Tensor, kept: Tensor) -> Tensor:
    """Weights by which average precision counts example j of a set for example i, (n_points, set_size, set_size).

    Those in front of i, softly by their scores, and i itself; each row sums to 1.
    """
    n = kept.sum(1, keepdim=True).clamp_min(1)
    centred = score - (score * kept).sum(1, keepdim=True) / n
    scaled = centred / ((centred.square() * kept).sum(1, keepdim=True) / n + 1e-10).sqrt()
    ahead = torch.sigmoid((scaled.unsqueeze(1) - scaled.unsqueeze(2)) / 0.05)
    itself = torch.eye(score.size(1), dtype=ahead.dtype, device=ahead.device)
    ahead = (ahead + 0.5 * itself) * kept.unsqueeze(1)
    return ahead / ahead.sum(2, keepdim=True).clamp_min(1e-6)


NETWORKS = {"peaks": Peaks, "embedding": Embedding}


class SetLoss(_losses.SetLossWithExtra):
    """The loss of a whole batch as one set."""

    def features(self, preds: Tensor, target: Tensor, weight: Tensor | None, set_size: int) -> Tensor:
        """The network's features of examples of which each `set_size` make a point."""
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
