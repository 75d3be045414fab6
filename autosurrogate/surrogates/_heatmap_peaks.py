"""A network for metrics of where a heatmap's maximum is: PCK, distances, object keypoint similarity."""

import torch
from torch import Tensor, nn

from autosurrogate.surrogates._heatmap_cells import extent, mean_of_keypoints, place_of_peak, relative_to_peak
from autosurrogate.surrogates._layers import weighted_means
from autosurrogate.surrogates._monotone_mlp import MonotoneMLP

COCO_SIGMAS = [26, 25, 25, 35, 35, 79, 79, 72, 72, 62, 62, 107, 107, 87, 87, 89, 89]  # thousandths (cocodataset.org)
SIMILARITIES = [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95]  # that COCO averages AP over


class Peaks(nn.Module):
    """Where the peaks of the maps are, softly: how far from the target's, within which radii, and which are ahead.

    A map is seen relative to its own height, so that neither scale nor offset matters; where that is less than the
    target's, as in untrained models, its gradient is that of a map as high as the target. From it come, at each
    temperature, probabilities of the cells; their distance from the target's peak and how many lie within each radius;
    margins of the best cell within a radius over the best beyond, which decide whether the maximum is within; and
    object keypoint similarities (COCO), with a soft average precision in the order of the peaks' heights.

    Args:
        temperatures: 1 is where a cell as high as a peak weighs as much as all of an empty map; small ones see the
            maximum alone.
        radii: fractions of the map's longer side.
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
        relative = relative_to_peak(maps, target)
        x, y = place_of_peak(target)
        squares = _squares(x, y, maps.size(2), maps.size(3))
        distance = squares.sqrt() / max(maps.size(2), maps.size(3))
        within = torch.stack([distance <= r + 1e-6 for r in self.radii], 2)  # rounded, a distance may be a bit larger
        margins = _margins(relative, within)
        similar = self._similar(squares, x, y, weight, maps.size(2) * maps.size(3))
        of_cells = torch.cat([1 - distance.unsqueeze(2), within.to(maps.dtype), similar], 2).unbind(2)

        valid = weight.amax(1).view(-1, set_size)
        in_order = _in_order(peak.squeeze(2).mean(1).view(-1, set_size), valid)
        scale = torch.ones_like(cells[0, 0]).sum().log()  # cells as low as -1 then weigh, together, as much as the peak
        features: list[Tensor] = []
        for temperature in self.temperatures:
            probability = (relative * (scale / temperature)).softmax(2)
            # Quicker here than one product.
            expected = torch.stack([(probability * values).sum(2) for values in of_cells], 2)
            of_examples = mean_of_keypoints(torch.cat([torch.tanh(margins / temperature), expected], 2), weight)
            features.append(weighted_means(of_examples[:, :-2], weight.sum(1), set_size))
            for area in (-2, -1):  # both guesses of it
                features.append(self._precision(of_examples[:, area].view(-1, set_size), valid, in_order))
        return torch.cat(features, 1)

    def _similar(self, squares: Tensor, x: Tensor, y: Tensor, weight: Tensor, n_cells: int) -> Tensor:
        """Similarity of each cell to the target's peak, by two guesses of the person's area, (n, K, 2, H * W).

        A quarter of the map, as a box with a margin that is half filled; and from the extent of the keypoints.
        """
        whole = 0.25 * n_cells * torch.ones_like(weight[:, 0])
        by_extent = torch.maximum(0.6 * extent(x, y, weight), 0.2 * whole)
        area = torch.stack([whole, by_extent], 1).unsqueeze(1)
        variance = 2 * (2 * self._sigmas(weight)).square()
        return torch.exp(-squares.unsqueeze(2) / (area * variance.unsqueeze(1)).unsqueeze(3))

    def _precision(self, similarity: Tensor, valid: Tensor, in_order: Tensor) -> Tensor:
        """Mean similarity, fraction of similar examples, and their average precision in each set, (n_points, 3)."""
        levels = torch.tensor(self.similarities, dtype=similarity.dtype, device=similarity.device)
        similar = torch.sigmoid((similarity.unsqueeze(2) - levels) / 0.03)
        precision = (in_order.unsqueeze(3) * similar.unsqueeze(1)).sum(2)
        of_examples = torch.stack([similarity, similar.mean(2), (similar * precision).mean(2)], 2)
        return (of_examples * valid.unsqueeze(2)).sum(1) / valid.sum(1, keepdim=True).clamp_min(1)

    def _sigmas(self, weight: Tensor) -> Tensor:
        """Standard deviation of each keypoint: COCO's where there are 17, else their mean, shape (K,)."""
        number = torch.arange(weight.size(1), device=weight.device)
        n_keypoints = torch.ones_like(number).sum()
        sigmas = self.sigmas[number.clamp(max=self.sigmas.size(0) - 1)]
        return torch.where(n_keypoints == self.sigmas.size(0), sigmas, self.sigmas.mean())

    def score(self, features: Tensor, n_rows: int) -> Tensor:
        """One number for each point, shape (n_points,)."""
        return self.layers(features).squeeze(1)


def _squares(x: Tensor, y: Tensor, height: int, width: int) -> Tensor:
    """Squared distance of each cell from (x, y), in cells, (n, K, H * W)."""
    dx = torch.arange(width, dtype=x.dtype, device=x.device) - x.unsqueeze(2)
    dy = torch.arange(height, dtype=x.dtype, device=x.device) - y.unsqueeze(2)
    return (dy.square().unsqueeze(3) + dx.square().unsqueeze(2)).flatten(2)


def _margins(relative: Tensor, within: Tensor) -> Tensor:
    """By how much the best cell within each radius is ahead of the best beyond, shape (n, K, n_radii)."""
    cells = relative.detach().unsqueeze(2)
    inside = cells.masked_fill(~within, -1e6).argmax(3)
    outside = cells.masked_fill(within, -1e6).argmax(3)
    return (relative.gather(2, inside) - relative.gather(2, outside)).masked_fill(within.all(3), 1e6)


def _in_order(score: Tensor, valid: Tensor) -> Tensor:
    """Weights by which average precision counts example j of a set for example i, (n_points, set_size, set_size).

    Those in front of i, softly by their scores, and i itself; each row sums to 1.
    """
    n = valid.sum(1, keepdim=True).clamp_min(1)
    centred = score - (score * valid).sum(1, keepdim=True) / n
    scaled = centred / ((centred.square() * valid).sum(1, keepdim=True) / n + 1e-10).sqrt()
    ahead = torch.sigmoid((scaled.unsqueeze(1) - scaled.unsqueeze(2)) / 0.05)
    itself = torch.eye(score.size(1), dtype=ahead.dtype, device=ahead.device)
    ahead = (ahead + 0.5 * itself) * valid.unsqueeze(1)
    return ahead / ahead.sum(2, keepdim=True).clamp_min(1e-6)
