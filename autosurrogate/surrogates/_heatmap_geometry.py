"""A network for any metric of where keypoints are."""

import torch
from torch import Tensor, nn

from autosurrogate.surrogates import _heatmap_shapes as _shapes
from autosurrogate.surrogates._heads import build_head
from autosurrogate.surrogates._heatmap_cells import extent, place_of_peak, relative_to_peak
from autosurrogate.surrogates._heatmap_shapes import of_shapes
from autosurrogate.surrogates._layers import matmul, within

BOUNDS = (0.02, 0.05, 0.08, 0.12, 0.2, 0.35)  # of distances, as fractions of the map's longer side
OF_PERSON = (0.1, 0.2, 0.5)  # as fractions of the size of the person
OF_CELLS = (1.5, 3.0)  # in cells
OF_EXAMPLE = (0.04, 0.08, 0.16)  # of the mean and the largest distance of an example
QUALITIES = [
    "distance", "squared distance", "geometric distance", *(f"within {b:g}" for b in BOUNDS),
    "distance of size", *(f"within {b:g} of size" for b in OF_PERSON), *(f"within {b:g} cells" for b in OF_CELLS),
    "distance of first", "distance of last", "distance of worst example",
    *(f"mean within {b:g}" for b in OF_EXAMPLE), *(f"all within {b:g}" for b in OF_EXAMPLE), "distance of worst",
    "centre", *_shapes.QUALITIES, "order of heights",
]  # fmt: skip
CONTEXT = ["distance to the right", "distance down", "ratio of sizes"]
OF_SET = ["height", "above 0.3", "above 0.5", "log side", "1 / keypoints", "size", "annotated"]


class Geometry(nn.Module):
    """Where the keypoints are, softly, and all that a metric may compute of such places.

    The place of a keypoint is the mean of the cells, weighted by a softmax. Of the places: distances from the target's,
    in the map's longer side, the person's size and cells; shares within bounds, of keypoints, of examples by their mean
    and by their worst; where the centre is; limbs between one keypoint and the next; the shape that all keypoints have
    together; distances of both sets of points. Beside these, the heights of the peaks.

    Args:
        temperatures: of the softmax; small ones see the maximum alone.
        head: "monotone" or "free", see `build_head`.
        width: hidden units.
        n_hidden: hidden layers.
    """

    FEATURE_SETTINGS = ("temperatures",)

    def __init__(self, temperatures: list[float], head: str = "monotone", width: int = 32, n_hidden: int = 2) -> None:
        super().__init__()
        self.temperatures = [float(t) for t in temperatures]
        self.bounds, self.of_person, self.of_cells = list(BOUNDS), list(OF_PERSON), list(OF_CELLS)
        self.of_example = list(OF_EXAMPLE)
        self.angle_bounds, self.limb_bounds = list(_shapes.ANGLE_BOUNDS), list(_shapes.LIMB_BOUNDS)
        n_qualities = len(QUALITIES) * len(temperatures)
        n_context = len(CONTEXT) * len(temperatures) + len(OF_SET)
        self.layers = build_head(head, n_qualities, n_context, width, n_hidden)

    def n_rows(self, set_size: int) -> int:
        """Rows of `features` for each point."""
        return 1

    def feature_names(self) -> list[str]:
        """A name for each column of `features`."""
        names = [f"{name} at {t:g}" for kind in (QUALITIES, CONTEXT) for t in self.temperatures for name in kind]
        return names + OF_SET

    def features(self, maps: Tensor, target: Tensor, weight: Tensor, set_size: int) -> Tensor:
        """Shape (n // set_size, n_features)."""
        height, width = maps.size(2), maps.size(3)
        side = max(height, width)
        relative = relative_to_peak(maps, target)
        x, y = place_of_peak(target)
        true = torch.stack([x, y], 2) / side
        size = extent(x, y, weight).sqrt() / side
        column = torch.arange(width, dtype=maps.dtype, device=maps.device).expand(height, width)
        row = torch.arange(height, dtype=maps.dtype, device=maps.device).unsqueeze(1).expand(height, width)
        cells = torch.stack([column, row], 2).flatten(0, 1) / side
        heights = maps.flatten(2).amax(2)
        scale = torch.ones_like(relative[0, 0]).sum().log()
        qualities: list[Tensor] = []
        context: list[Tensor] = []
        for temperature in self.temperatures:
            probability = (relative * (scale / temperature)).softmax(2)
            places = matmul(probability.flatten(0, 1), cells).view(true.shape)
            of_places = self._of_places(places, true, weight, size, heights, side, set_size)
            qualities.append(of_places[0])
            context.append(of_places[1])
        valid = weight.amax(1, keepdim=True)
        n_keypoints = torch.ones_like(weight).sum(1, keepdim=True)
        annotated = weight.sum(1, keepdim=True)
        of_set = torch.stack(
            [
                _mean(heights, weight, set_size),
                _mean(torch.sigmoid((heights - 0.3) / 0.05), weight, set_size),
                _mean(torch.sigmoid((heights - 0.5) / 0.05), weight, set_size),
                _mean((torch.ones_like(valid) * side).log() / 3, valid, set_size),
                _mean(1 / n_keypoints, valid, set_size),
                _mean(size.unsqueeze(1), valid, set_size),
                _mean(annotated / n_keypoints, valid, set_size),
            ],
            1,
        )
        return torch.cat(qualities + context + [of_set], 1)

    def _of_places(
        self, places: Tensor, true: Tensor, weight: Tensor, size: Tensor, heights: Tensor, side: int, set_size: int
    ) -> tuple[Tensor, Tensor]:
        """The qualities and the context of places (n, K, 2), for each point."""
        error = places - true
        distance = (error.square().sum(2) + 1e-8).sqrt()
        of_size = distance / size.unsqueeze(1)
        shares = [within(distance, bound) for bound in self.bounds]
        shares_of_size = [within(of_size, bound) for bound in self.of_person]
        shares_of_cells = [within(distance * side, bound) for bound in self.of_cells]
        logs = [distance, distance.square(), (distance + 0.01).log()]
        of_keypoints = [_mean(each, weight, set_size) for each in logs + shares]
        of_keypoints[0] = -(of_keypoints[0] + 3e-3).log()
        of_keypoints[1] = -(of_keypoints[1] + 1e-5).log() / 2
        of_keypoints[2] = -of_keypoints[2]
        of_keypoints.append(-(_mean(of_size, weight, set_size) + 0.01).log())
        of_keypoints += [_mean(each, weight, set_size) for each in shares_of_size + shares_of_cells]

        valid = weight.amax(1, keepdim=True)
        n_annotated = weight.sum(1, keepdim=True).clamp_min(1)
        mean = (distance * weight).sum(1, keepdim=True) / n_annotated
        worst = (distance * weight).amax(1, keepdim=True)
        for end in (0, weight.size(1) - 1):
            there = weight[:, end : end + 1]
            of_keypoints.append(-(_mean(distance[:, end : end + 1], there, set_size) + 3e-3).log())
        of_keypoints.append(-((mean * valid).view(-1, set_size).amax(1) + 3e-3).log())
        of_keypoints += [_mean(within(mean, bound), valid, set_size) for bound in self.of_example]
        of_keypoints += [_mean(within(worst, bound), valid, set_size) for bound in self.of_example]
        of_keypoints.append(-(_mean(worst, valid, set_size) + 3e-3).log())
        shift = (error * weight.unsqueeze(2)).sum(1) / n_annotated
        off_centre = (shift.square().sum(1, keepdim=True) + 1e-8).sqrt()
        of_keypoints.append(-(_mean(off_centre, valid, set_size) + 3e-3).log())
        shapes, ratio = of_shapes(places, true, distance, weight, self.angle_bounds, self.limb_bounds)
        of_keypoints += [_mean(each.unsqueeze(1), valid, set_size) for each in shapes]
        of_keypoints.append(_order_of_heights(heights, distance, weight, set_size))
        context = [_mean(shift[:, :1], valid, set_size), _mean(shift[:, 1:], valid, set_size)]
        context.append(_mean(ratio.unsqueeze(1), valid, set_size))
        return torch.stack(of_keypoints, 1), torch.stack(context, 1)

    def score(self, features: Tensor, n_rows: int) -> Tensor:
        """One number for each point, shape (n_points,)."""
        return self.layers(features).squeeze(1)


def _mean(values: Tensor, weight: Tensor, set_size: int) -> Tensor:
    """Weighted means over the keypoints of each set: (n, K) and (n, K) to (n // set_size,)."""
    n_points = values.size(0) // set_size
    total = (values * weight).reshape(n_points, -1).sum(1)
    return total / weight.reshape(n_points, -1).sum(1).clamp_min(1)


def _order_of_heights(heights: Tensor, distance: Tensor, weight: Tensor, set_size: int) -> Tensor:
    """How closely lower peaks go with larger distances in each set, in [-1, 1], shape (n // set_size,)."""
    n_points = heights.size(0) // set_size
    weight = weight.reshape(n_points, -1)
    n = weight.sum(1, keepdim=True).clamp_min(1)
    centred: list[Tensor] = []
    for values in (heights, distance):
        values = values.reshape(n_points, -1)
        away = (values - (values * weight).sum(1, keepdim=True) / n) * weight
        centred.append(away / (away.square().sum(1, keepdim=True) / n + 1e-3).sqrt())
    return -(centred[0] * centred[1]).sum(1) / n.squeeze(1)
