"""Features of detections: where boxes lie, which detection is the surest, and how scores follow the overlap."""

import torch
from torch import Tensor

from autosurrogate.surrogates._detection_matching import DetectionBatch
from autosurrogate.surrogates._detection_pairs import Pairs, aligned_iou, means_of_images, of_sets, of_true_boxes

SMALL, LARGE = 32.0**2, 96.0**2  # square pixels: bounds of small and large boxes (cocodataset.org)
PLACES = (
    "IoU of the best", "class of the best", "likeness of sizes", "worst IoU of the best",
    "IoU of the best of its class", "IoU of the best counted", "IoU of the best counted of its class",
    "found", "found small", "found medium", "found large", "nearness of the nearest", "nearness of the nearest counted",
    "centre of the surest", "centre of the surest in its class", "IoU of the surest", "IoU of the surest in its class",
    "IoU of what is counted", "nearness of what is counted",
    "sure where right", "unsure where wrong", "calibration", "order of IoU",
)  # fmt: skip


def place_features(
    batch: DetectionBatch,
    pairs: Pairs,
    set_size: int,
    temperature: float,
    small: float = SMALL,
    large: float = LARGE,
) -> Tensor:
    """The features `PLACES`, shape (n_points, n). What is counted is decided by the first gate.

    Args:
        batch: of images.
        pairs: of queries and true boxes.
        set_size: images of each point.
        temperature: of scores, relative to their spread; tenfold smaller of IoU and of places in a box.
        small: see `SMALL`.
        large: see `LARGE`.
    """
    sharp = 0.1 * temperature
    target_mask, valid, gate = batch.target_mask, batch.query_mask, pairs.gates[:, :, 0]
    has_true = (target_mask.sum(1) > 0).to(target_mask.dtype)
    features = _of_true_boxes(batch, pairs, has_true, set_size, sharp, small, large)

    centres, sizes = _centres(batch.boxes), _sizes(batch.true_boxes)
    offset = centres.detach().unsqueeze(2) - _centres(batch.true_boxes).unsqueeze(1)
    side = (sizes[:, :, 0] * sizes[:, :, 1] + 1).sqrt()
    nearest = (offset.square().sum(3).sqrt() / side.unsqueeze(1) + 1e9 * (1 - target_mask.unsqueeze(1))).argmin(2)
    nearest_box = of_true_boxes(batch.true_boxes, nearest)
    is_valid = valid * has_true.unsqueeze(1)
    inside = _inside(centres, nearest_box, sharp) * is_valid
    nearness = _nearness(centres, nearest_box, side.gather(1, nearest)) * is_valid
    of_class = pairs.probability.gather(2, batch.classes.gather(1, nearest).unsqueeze(2)).squeeze(2)
    own = pairs.own_iou * pairs.own_same
    surest = (pairs.order / temperature - 1e4 * (1 - valid)).softmax(1) * valid
    for values in (inside, inside * of_class, pairs.any_iou, own):
        features.append(means_of_images((values * surest).sum(1), has_true, set_size))

    right = torch.sigmoid((own - 0.5) / sharp) * is_valid
    probability = batch.logits.amax(2).sigmoid()
    covariance = _mean(pairs.order * own, valid, set_size) - _mean(pairs.order, valid, set_size) * _mean(
        own, valid, set_size
    )
    features += [
        _mean(pairs.any_iou, gate, set_size),
        _mean(nearness, gate, set_size),
        _mean(probability, right, set_size),
        _mean(1 - probability, valid - right, set_size),
        _mean(1 - (probability - right).square(), valid, set_size),
        covariance,
    ]
    return torch.stack(features, 1)


def _of_true_boxes(
    batch: DetectionBatch, pairs: Pairs, has_true: Tensor, set_size: int, sharp: float, small: float, large: float
) -> list[Tensor]:
    """Of the query that fits each true box best, in several senses."""
    target_mask, gate = batch.target_mask, pairs.gates[:, :, 0]
    counted = gate.detach().unsqueeze(2)
    own = pairs.all_iou * (pairs.all_same + 1e-3)

    best = _best(pairs.all_iou, batch)
    boxes = _gather_boxes(batch.boxes, best)
    iou, same = aligned_iou(boxes, batch.true_boxes), _same(pairs.probability, best, batch.classes)
    missed = (1 - iou) * target_mask
    features = [
        _mean(iou, target_mask, set_size),
        _mean(same, target_mask, set_size),
        _mean(_likeness(boxes, batch.true_boxes), target_mask, set_size),
        means_of_images(1 - missed.amax(1), has_true, set_size),
    ]
    best = _best(own, batch)
    iou = aligned_iou(_gather_boxes(batch.boxes, best), batch.true_boxes)
    features.append(_mean(iou * _same(pairs.probability, best, batch.classes), target_mask, set_size))
    best = _best(pairs.all_iou * (counted + 1e-3), batch)
    iou = aligned_iou(_gather_boxes(batch.boxes, best), batch.true_boxes)
    features.append(_mean(iou * gate.gather(1, best), target_mask, set_size))
    best = _best(own * (counted + 1e-3), batch)
    iou = aligned_iou(_gather_boxes(batch.boxes, best), batch.true_boxes)
    of_best = iou * _same(pairs.probability, best, batch.classes) * gate.gather(1, best)
    features.append(_mean(of_best, target_mask, set_size))

    found, sizes = torch.sigmoid((of_best - 0.5) / sharp), _sizes(batch.true_boxes)
    area = sizes[:, :, 0] * sizes[:, :, 1]
    overall = _mean(found, target_mask, set_size)
    features.append(overall)
    for of_size in (area < small, (area >= small) & (area < large), area >= large):
        features.append(_mean_or(found, target_mask * of_size.to(area.dtype), overall, set_size))

    true_centres, side = _centres(batch.true_boxes), (area + 1).sqrt()
    offset = _centres(batch.boxes.detach()).unsqueeze(2) - true_centres.unsqueeze(1)
    near = 1 / (1 + offset.square().sum(3).sqrt() / side.unsqueeze(1))
    best = _best(near, batch)
    features.append(
        _mean(_nearness(_centres(_gather_boxes(batch.boxes, best)), batch.true_boxes, side), target_mask, set_size)
    )
    best = _best(near * (counted + 1e-3), batch)
    nearness = _nearness(_centres(_gather_boxes(batch.boxes, best)), batch.true_boxes, side)
    features.append(_mean(nearness * gate.gather(1, best), target_mask, set_size))
    return features


def _best(fit: Tensor, batch: DetectionBatch) -> Tensor:
    """The query that fits each true box best: (n, Q, M) to numbers (n, M)."""
    return (fit - (1 - batch.query_mask.unsqueeze(2))).argmax(1)


def _gather_boxes(boxes: Tensor, index: Tensor) -> Tensor:
    return boxes.gather(1, index.unsqueeze(2).expand(-1, -1, 4))


def _same(probability: Tensor, index: Tensor, classes: Tensor) -> Tensor:
    """The probability of each true box's class, of the query that it is paired with; shape (n, M)."""
    rows = probability.gather(1, index.unsqueeze(2).expand(-1, -1, probability.size(2)))
    return rows.gather(2, classes.unsqueeze(2)).squeeze(2)


def _mean(values: Tensor, weight: Tensor, set_size: int) -> Tensor:
    """Weighted means over the entries of each point, of (n, N) to (n_points,); 0 where there are none."""
    return of_sets((values * weight).sum(1), set_size) / of_sets(weight.sum(1), set_size).clamp_min(0.1)


def _mean_or(values: Tensor, weight: Tensor, other: Tensor, set_size: int) -> Tensor:
    """The same; near another number where there are few."""
    total, count = of_sets((values * weight).sum(1), set_size), of_sets(weight.sum(1), set_size)
    return (total + 0.1 * other) / (count + 0.1)


def _centres(boxes: Tensor) -> Tensor:
    return (boxes[..., :2] + boxes[..., 2:]) / 2


def _sizes(boxes: Tensor) -> Tensor:
    return (boxes[..., 2:] - boxes[..., :2]).clamp_min(0)


def _nearness(centres: Tensor, true_boxes: Tensor, side: Tensor) -> Tensor:
    """How near points (n, N, 2) are to the centres of true boxes (n, N, 4), by their sides: (n, N), at most 1."""
    squared = (centres - _centres(true_boxes)).square().sum(2) / side.square()
    return 1 / (1 + (squared + 1e-4).sqrt())


def _likeness(boxes: Tensor, true_boxes: Tensor) -> Tensor:
    """How alike the areas of boxes are: 1 if equal; of (n, N, 4) twice to (n, N)."""
    sizes, true_sizes = _sizes(boxes), _sizes(true_boxes)
    ratio = (sizes[..., 0] * sizes[..., 1] + 1).log() - (true_sizes[..., 0] * true_sizes[..., 1] + 1).log()
    return 1 / (1 + (ratio.square() + 1e-4).sqrt())


def _inside(centres: Tensor, true_boxes: Tensor, sharp: float) -> Tensor:
    """How far points (n, N, 2) lie in true boxes (n, N, 4): shape (n, N)."""
    depth = torch.cat([centres - true_boxes[..., :2], true_boxes[..., 2:] - centres], 2)
    return torch.sigmoid((depth / _sizes(true_boxes).clamp_min(1).repeat(1, 1, 2)).amin(2) / sharp)
