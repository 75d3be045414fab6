"""Features of segmentation: distances between the boundaries of the foreground, and between its places."""

import torch
import torch.nn.functional as F
from torch import Tensor

from autosurrogate.surrogates._segmentation_overlap import mean_of_images

RADII = (0, 1, 2, 3, 4, 6, 8, 11, 15, 20, 26, 33)  # pixels; what is farther counts as twice the last
WITHIN = (0, 1, 2, 3, 6)  # radii of which the fraction within is a feature
QUANTILES = (0.5, 0.95)
WAYS = ("found", "true")  # boundary, whose distance from the other is measured
QUALITIES = (
    *(f"{way} within {r}" for way in WAYS for r in WITHIN),
    *(f"{name} {way}" for way in WAYS for name in ("mean distance", "squared distance", "farthest")),
    *(f"{100 * q:g} % {way}" for way in WAYS for q in QUANTILES),
    *(f"both within {r}" for r in WITHIN), *(f"larger {100 * q:g} %" for q in QUANTILES), "larger farthest",
    "mean distance of both", "distance of centres", "likeness of spreads",
)  # fmt: skip
CONTEXT = ("length of boundary", "true length of boundary", "side", "no true boundary")


def distance_features(
    probability: Tensor, truth: Tensor, valid: Tensor, set_size: int, radii: list[int], quantiles: list[float]
) -> tuple[list[Tensor], list[Tensor]]:
    """The features `QUALITIES` and `CONTEXT`, shape (n_points,) each; means over images.

    Distances are in pixels, by their logarithm, of the octagon that eight steps in turn along and across give.

    Args:
        probability: of each class, shape (n, C, H, W), 0 where there is no target.
        truth: 1 at the target's class, of the same shape.
        valid: 1 where there is a target, shape (n, H, W).
        set_size: images of each point.
        radii: see `RADII`.
        quantiles: see `QUANTILES`.
    """
    foreground, true = valid - probability[:, 0], truth.sum(1) - truth[:, 0]
    edge, true_edge = _edge(foreground.unsqueeze(1), valid), _edge(true.unsqueeze(1), valid)
    length, true_length = edge.sum((1, 2, 3)), true_edge.sum((1, 2, 3))
    has_edge = (true_length > 0).to(length.dtype)
    steps: list[float] = []
    found_within: list[Tensor] = []
    true_within: list[Tensor] = []
    near, true_near, radius = edge, true_edge, 0
    distance, true_distance = torch.zeros_like(edge), torch.zeros_like(edge)
    for r in radii:
        steps.append(float(r - radius))
        distance = distance + steps[-1] * (1 - near)  # of each pixel from the found boundary
        true_distance = true_distance + steps[-1] * (1 - true_near)
        for step in range(radius, r):
            near, true_near = _grown(near, step), _grown(true_near, step)
        radius = r
        found_within.append((edge * true_near).sum((1, 2, 3)) / (length + 0.1))
        true_within.append((true_edge * near).sum((1, 2, 3)) / true_length.clamp_min(1))
    last = float(radius)
    distance, true_distance = distance + last * (1 - near), true_distance + last * (1 - true_near)
    steps.append(last)

    of_found = _directed(edge, true_distance, length + 0.1, last)
    of_true = _directed(true_edge, distance, true_length.clamp_min(1), last)
    found_quantiles, true_quantiles = (
        _quantiles(found_within, steps, quantiles),
        _quantiles(true_within, steps, quantiles),
    )
    shares: list[Tensor] = []
    both: list[Tensor] = []
    total = length + true_length + 0.1
    for i in (0, 1, 2, 3, 5):
        both.append((found_within[i] * length + true_within[i] * true_length) / total)
    for within in (found_within, true_within):
        for i in (0, 1, 2, 3, 5):
            shares.append(within[i])
    by_image = shares + [-values.clamp_min(0).log1p() / 4 for values in of_found + of_true]
    by_image += [-values.log1p() / 4 for values in found_quantiles + true_quantiles] + both
    for k in range(len(quantiles)):
        by_image.append(-torch.maximum(found_quantiles[k], true_quantiles[k]).log1p() / 4)
    by_image.append(-torch.maximum(of_found[2], of_true[2]).clamp_min(0).log1p() / 4)
    mean = (of_found[0] * length + of_true[0] * true_length) / total
    by_image.append(-mean.clamp_min(0).log1p() / 4)
    by_image += _places(foreground, true)
    side = valid.sum((1, 2)).clamp_min(1).sqrt()
    context = [length.log1p() / 5, true_length.log1p() / 5, side.log() / 5, 1 - has_edge]
    actual = truth.sum((2, 3))
    return (
        [mean_of_images(values, actual, set_size) for values in by_image],
        [mean_of_images(values, actual, set_size) for values in context],
    )


def _edge(mask: Tensor, valid: Tensor) -> Tensor:
    """By how much each pixel exceeds the smallest of its four neighbours, (n, 1, H, W); outside of the image is 0."""
    padded = F.pad(mask, (1, 1, 1, 1))
    smallest = -torch.maximum(
        F.max_pool2d(-padded, (3, 1), 1)[:, :, :, 1:-1], F.max_pool2d(-padded, (1, 3), 1)[:, :, 1:-1]
    )
    return (mask - torch.minimum(smallest, mask)) * valid.unsqueeze(1)


def _grown(mask: Tensor, step: int) -> Tensor:
    """The mask grown by a pixel: along rows and columns, and in every third step across corners, too."""
    if step % 3 == 1:
        return F.max_pool2d(mask, 3, 1, 1)
    return torch.maximum(F.max_pool2d(mask, (3, 1), 1, (1, 0)), F.max_pool2d(mask, (1, 3), 1, (0, 1)))


def _directed(edge: Tensor, distance: Tensor, length: Tensor, last: float) -> list[Tensor]:
    """Mean, root mean square and maximum of the distance of an edge from the other; as far as can be without edge."""
    some = 1 - torch.exp(-2 * edge.sum((1, 2, 3)))
    none = 2 * last * (1 - some)
    weighted = edge * distance
    square = ((weighted * distance).sum((1, 2, 3)) / length + 1e-4).sqrt()
    return [weighted.sum((1, 2, 3)) / length + none, square + none, weighted.amax((1, 2, 3)) + none]


def _quantiles(within: list[Tensor], steps: list[float], quantiles: list[float]) -> list[Tensor]:
    """Soft quantiles of a distance from the fractions within each radius, (n,) each."""
    found: list[Tensor] = []
    for q in quantiles:
        total = torch.zeros_like(within[0])
        for i in range(len(within)):
            beyond = torch.sigmoid((q - within[i]) / 0.006)
            total = total + steps[i + 1] * beyond
        found.append(total + steps[0])
    return found


def _places(foreground: Tensor, true: Tensor) -> list[Tensor]:
    """How near the centres of the foreground are, relative to its size, and how alike its spreads; (n,) each."""
    height, width = true.size(1), true.size(2)
    rows = torch.arange(height, dtype=true.dtype, device=true.device).view(1, -1, 1)
    columns = torch.arange(width, dtype=true.dtype, device=true.device).view(1, 1, -1)
    centres: list[Tensor] = []
    spreads: list[Tensor] = []
    for mask in (foreground, true):
        weight = mask / (mask.sum((1, 2), keepdim=True) + 0.1)
        row, column = (weight * rows).sum((1, 2)), (weight * columns).sum((1, 2))
        offsets = (rows - row.view(-1, 1, 1)).square() + (columns - column.view(-1, 1, 1)).square()
        centres += [row, column]
        spreads.append(((weight * offsets).sum((1, 2)) + 1).log())
    size = (true.sum((1, 2)) + 1).sqrt()
    offset = (centres[0] - centres[2]).square() + (centres[1] - centres[3]).square()
    return [-((offset + 1e-3).sqrt() / size).log1p(), -(spreads[0] - spreads[1]).abs() / 3]
