"""The random generator of heatmaps: people, where a model sees their keypoints, and the maps that it outputs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from autosurrogate.examples import Examples
from autosurrogate.tasks import _regimes
from autosurrogate.tasks._draw import Draw

MIN_KEYPOINTS, MAX_KEYPOINTS, N_COCO_KEYPOINTS = 2, 8, 17  # similarities to 17 keypoints are those of COCO
MIN_SIDE, MAX_SIDE = 12, 32  # of the longer side, in cells
MAX_CELLS = 3000  # of all maps of an example
MIN_SHORT_SIDE = 8
ALL_ZERO = 0.05  # fraction of the untrained models whose maps are zero everywhere


@dataclass(frozen=True)
class _People:
    """People of n_sets * set_size examples.

    Args:
        keypoints: where they are, (x, y) in cells, shape (n_sets, set_size, n_keypoints, 2).
        usual: where they are in most examples of the set, shape (n_sets, 1, n_keypoints, 2).
        weight: 1 where a keypoint is annotated, else 0, shape (n_sets, set_size, n_keypoints).
        area: in cells squared, shape (n_sets, set_size).
        normaliser: in cells, shape (n_sets, set_size).
    """

    keypoints: Tensor
    usual: Tensor
    weight: Tensor
    area: Tensor
    normaliser: Tensor


@dataclass(frozen=True)
class _Seen:
    """Where a model sees keypoints.

    Args:
        first, second: places of the highest peak and of its competitor, shape (n_sets, set_size, n_keypoints, 2).
        right: 1 where the first is where it should be but for a jitter, shape (n_sets, set_size, n_keypoints).
    """

    first: Tensor
    second: Tensor
    right: Tensor


def generate(severity: Tensor, draw: Draw, set_size: int) -> Examples:
    """Maps of n_sets * set_size examples; severity of shape (n_sets,)."""
    n_keypoints, height, width = _sizes(draw)
    people = _people(severity.shape[0], set_size, n_keypoints, height, width, draw)
    spread = max(0.5, draw.log_uniform(0.5, 2.5, 1).item() * max(height, width) / 24)
    target = _peaks(people.keypoints, torch.tensor(spread), height, width)
    if draw.uniform(1).item() < 0.7:  # most trainers leave a map without an annotation empty
        target = target * people.weight[..., None, None]
    seen = _seen(severity, people, height, width, draw)
    preds = _maps(seen, spread, height, width, draw)
    extras = {"weight": people.weight, "area": people.area, "normaliser": people.normaliser}
    return Examples(
        preds.flatten(0, 1), target.flatten(0, 1), {name: array.flatten(0, 1) for name, array in extras.items()}
    )


def in_regime(maps: Tensor, regime: str, draw: Draw) -> Tensor:
    """Maps of a trained model, changed to a regime of `_regimes`.

    - untrained: nearly flat, in half of the sets with noise of each map, in half with a preference for some cells of
      each keypoint; in some of them many cells, or all, are exactly equal.
    - collapsed: nearly all keypoints of a set are in the same place.

    Args:
        maps: shape (n_sets, set_size, n_keypoints, height, width).
        regime: UNTRAINED or COLLAPSED.
        draw: source of randomness.
    """
    n_sets, set_size, n_keypoints, height, width = maps.shape

    def strength(low: float, high: float) -> Tensor:
        return draw.log_uniform(low, high, n_sets, 1, 1, 1, 1)

    if regime == _regimes.COLLAPSED:
        place = draw.uniform(n_sets, 1, 1, 2) * torch.tensor([width, height]) - 0.5
        heights = (maps.amax((3, 4)) - maps.mean((3, 4))).mean((1, 2)).view(-1, 1, 1, 1, 1)
        common = _peaks(_inside(place, height, width), torch.tensor(1.0), height, width)
        return strength(0.03, 1.0) * (maps + strength(1.0, 8.0) * heights * common)
    spread = maps.flatten(1).std(1).view(-1, 1, 1, 1, 1)
    noise = strength(0.1, 10.0) * spread * (draw.uniform(n_sets, 1, 1, 1, 1) < 0.5)
    maps = maps + noise * _noise(n_sets, set_size, n_keypoints, height, width, draw)
    flat = _regimes.of_logits(maps.flatten(2), regime, draw).view_as(maps)
    return flat * (draw.uniform(n_sets, 1, 1, 1, 1) >= ALL_ZERO)


def _sizes(draw: Draw) -> tuple[int, int, int]:
    """Number of keypoints, height and width of a map."""
    n_keypoints = math.floor(draw.log_uniform(MIN_KEYPOINTS, MAX_KEYPOINTS + 1, 1).item())
    if draw.uniform(1).item() < 0.2:
        n_keypoints = N_COCO_KEYPOINTS
    side = draw.log_uniform(MIN_SIDE, min(MAX_SIDE, (MAX_CELLS / n_keypoints) ** 0.5), 1).item()
    shape, turned = draw.uniform(2).tolist()
    aspect = 1.0 if shape < 0.4 else 0.75 if shape < 0.7 else draw.log_uniform(0.5, 1.0, 1).item()
    sides = round(side), max(MIN_SHORT_SIDE, round(aspect * side))
    return n_keypoints, *(sides if turned < 0.7 else sides[::-1])


def _people(n_sets: int, set_size: int, n_keypoints: int, height: int, width: int, draw: Draw) -> _People:
    map_size = torch.tensor([width, height], dtype=torch.float32)
    box = torch.empty(n_sets, set_size, 1, 2)
    box[..., 1] = height * (0.4 + 0.58 * draw.uniform(n_sets, set_size, 1))
    box[..., 0] = (box[..., 1] * draw.log_uniform(0.35, 1.2, n_sets, set_size, 1)).clamp(max=0.98 * width)
    corner = (map_size - box) * (1.1 * draw.uniform(n_sets, set_size, 1, 2) - 0.05)

    layout = draw.uniform(n_sets, 1, n_keypoints, 2)
    beside = layout[:, :, :1] + 0.1 * draw.normal(n_sets, 1, n_keypoints, 2)  # as eyes and ears are beside a nose
    layout = torch.where(draw.uniform(n_sets, 1, n_keypoints, 1) < 0.3, beside, layout)
    pose = layout + draw.uniform(n_sets, 1, 1, 1) * 0.4 * draw.normal(n_sets, set_size, n_keypoints, 2)
    keypoints = corner + box * pose.clamp(0, 1) - 0.5
    if draw.uniform(1).item() < 0.5:
        keypoints = keypoints.round()

    inside = ((keypoints > -0.6) & (keypoints < map_size - 0.4)).all(-1)
    annotated = (1 - 0.6 * draw.uniform(n_sets, 1, 1) ** 2) ** draw.exponential(n_sets, set_size, 1)
    weight = (inside & (draw.uniform(n_sets, set_size, n_keypoints) < annotated)).float()
    area = box.prod(-1).squeeze(-1) * (0.25 + 0.5 * draw.uniform(n_sets, set_size))
    size = draw.log_uniform(0.1, 1.0, n_sets, 1) * torch.exp(0.15 * draw.normal(n_sets, set_size))
    return _People(keypoints, layout * map_size, weight, area, size * box.amax((-2, -1)))


def _seen(severity: Tensor, people: _People, height: int, width: int, draw: Draw) -> _Seen:
    """Keypoints that are gross errors with a probability that follows the severity, and others that are a bit off."""
    n_sets, set_size, n_keypoints, _ = people.keypoints.shape
    severity = severity[:, None, None]
    blunt = draw.uniform(n_sets, 1, 1)  # how much of the severity shows as jitter
    hardness = 1.5 * draw.uniform(n_sets, 1, 1) * draw.normal(n_sets, 1, n_keypoints)
    hardness = hardness + 3.0 * draw.uniform(n_sets, 1, 1) * draw.normal(n_sets, set_size, 1)
    odds = torch.logit((severity**1.5 * (1 - 0.5 * blunt * (1 - severity))).clamp(2e-4, 1 - 2e-3)) + hardness
    right = draw.uniform(n_sets, set_size, n_keypoints) >= torch.sigmoid(odds)

    jitter = 0.02 + max(height, width) * 0.15 * (blunt * severity) ** 1.5
    jitter = (jitter * torch.exp(0.5 * draw.normal(n_sets, set_size, n_keypoints)))[..., None]
    near = people.keypoints + jitter * draw.normal(n_sets, set_size, n_keypoints, 2)
    wrong = _misplaced(people, height, width, draw)
    first = torch.where(right[..., None], near, wrong)
    second = torch.where(right[..., None], wrong, near)
    return _Seen(_inside(first, height, width), _inside(second, height, width), right.float())


def _misplaced(people: _People, height: int, width: int, draw: Draw) -> Tensor:
    """Places of gross errors, of kinds in proportions that a set shares.

    Another keypoint of the person, anywhere, some way off, or where the keypoint is in most examples.
    """
    n_sets, set_size, n_keypoints, _ = people.keypoints.shape
    partner = (torch.arange(n_keypoints) + 1 + int(draw.uniform(1).item() * (n_keypoints - 1))) % n_keypoints
    anywhere = draw.uniform(n_sets, set_size, n_keypoints, 2) * torch.tensor([width, height]) - 0.5
    distance = 1 + max(height, width) * draw.log_uniform(0.02, 0.3, n_sets, 1, 1) * draw.exponential(
        n_sets, set_size, n_keypoints
    )
    angle = 2 * math.pi * draw.uniform(n_sets, set_size, n_keypoints)
    off = people.keypoints + distance[..., None] * torch.stack([angle.cos(), angle.sin()], -1)
    usual = people.usual + 0.5 * draw.normal(n_sets, set_size, n_keypoints, 2)
    places = torch.stack([people.keypoints[:, :, partner], anywhere, off, usual], -2)
    fraction = (1.5 * draw.normal(n_sets, 4)).softmax(-1)
    kind = torch.multinomial(fraction, set_size * n_keypoints, replacement=True, generator=draw.generator)
    kind = kind.view(n_sets, set_size, n_keypoints, 1, 1).expand(-1, -1, -1, 1, 2)
    return places.gather(-2, kind).squeeze(-2)


def _inside(places: Tensor, height: int, width: int) -> Tensor:
    return torch.stack([places[..., 0].clamp(-0.4, width - 0.6), places[..., 1].clamp(-0.4, height - 0.6)], -1)


def _maps(seen: _Seen, spread: float, height: int, width: int, draw: Draw) -> Tensor:
    """Heatmaps with one or two peaks, of any height, blurred or sharp, over a noise floor; scale and offset are random.

    In some sets the height of a peak depends on whether it is right, in others not.
    """
    n_sets, set_size, n_keypoints = seen.right.shape
    widest = max(height, width) / 4
    blur = draw.log_uniform(0.6, 2.5, n_sets, 1, 1) * torch.exp(0.25 * draw.normal(n_sets, set_size, n_keypoints))
    wide = (spread * blur).clamp(0.5, widest)
    gap = draw.log_uniform(0.03, 0.8, n_sets, 1, 1) * draw.exponential(n_sets, set_size, n_keypoints)
    doubled = draw.uniform(n_sets, set_size, n_keypoints) < draw.uniform(n_sets, 1, 1)
    ratio = (1 - gap).clamp_min(0) * doubled
    highest = _peaks(seen.first, wide, height, width)
    competitor = ratio[..., None, None] * _peaks(seen.second, wide, height, width)
    melting = draw.uniform(n_sets, 1, 1, 1, 1) ** 4  # two peaks that are close may melt into one between them
    maps = torch.maximum(highest, competitor) + melting * torch.minimum(highest, competitor)
    heights = _heights(seen.right, draw)[..., None, None]
    floor = draw.log_uniform(0.002, 0.1, n_sets, 1, 1, 1, 1) * heights ** draw.uniform(n_sets, 1, 1, 1, 1)
    maps = maps * heights + floor * _noise(n_sets, set_size, n_keypoints, height, width, draw)
    clipped = draw.uniform(n_sets, 1, 1, 1, 1) < 0.3
    maps = torch.where(clipped, F.relu(maps) + 1e-3 * maps, maps)
    maps = maps.sign() * maps.abs() ** draw.log_uniform(0.5, 2.0, n_sets, 1, 1, 1, 1)
    usual = draw.uniform(n_sets, 1, 1, 1, 1) < 0.5
    scale = torch.where(usual, draw.log_uniform(0.3, 1.2, n_sets, 1, 1, 1, 1), 1.0)
    scale = torch.where(usual, scale, draw.log_uniform(0.05, 5.0, n_sets, 1, 1, 1, 1))
    return scale * (maps + torch.where(usual, 0.0, 0.3 * draw.normal(n_sets, 1, 1, 1, 1)))


def _heights(right: Tensor, draw: Draw) -> Tensor:
    """Height of each first peak, shape (n_sets, set_size, n_keypoints); a few are lost in the noise."""
    n_sets, set_size, n_keypoints = right.shape
    signal = 2 * right - 1
    of_keypoint = _confidence(signal, draw)
    of_example = _confidence(signal.mean(-1, keepdim=True), draw)
    height = torch.exp((of_keypoint + of_example).clamp(-3, 0.5))
    lost = draw.uniform(n_sets, set_size, n_keypoints) < 0.3 * draw.uniform(n_sets, 1, 1) * (1 - right)
    return torch.where(lost, 0.05 * draw.uniform(n_sets, set_size, n_keypoints), height)


def _confidence(signal: Tensor, draw: Draw) -> Tensor:
    """Logarithms of heights that follow `signal`, in [-1, 1]; how closely is random for each set."""
    n_sets = signal.shape[0]
    follows = (1.3 * draw.uniform(n_sets, 1, 1) - 0.2).clamp(0, 1)
    noise = (1 - follows**2).sqrt() * draw.normal(*signal.shape)
    return draw.log_uniform(0.05, 0.7, n_sets, 1, 1) * (follows * signal + noise - 1)


def _noise(n_sets: int, set_size: int, n_keypoints: int, height: int, width: int, draw: Draw) -> Tensor:
    """White and smooth noise, in proportions that a set shares."""
    white = draw.normal(n_sets, set_size, n_keypoints, height, width)
    coarse = draw.normal(n_sets * set_size, n_keypoints, math.ceil(height / 4), math.ceil(width / 4))
    smooth = F.interpolate(coarse, (height, width), mode="bilinear").view_as(white)
    fraction = draw.uniform(n_sets, 1, 1, 1, 1)
    return fraction * white + (1 - fraction) * smooth


def _peaks(places: Tensor, spread: Tensor, height: int, width: int) -> Tensor:
    """Gaussians of height 1, shape (..., height, width), about places (..., 2); spread, in cells, of shape (...)."""
    along_x = torch.exp(-0.5 * ((torch.arange(width) - places[..., :1]) / spread[..., None]) ** 2)
    along_y = torch.exp(-0.5 * ((torch.arange(height) - places[..., 1:]) / spread[..., None]) ** 2)
    return along_y[..., :, None] * along_x[..., None, :]
