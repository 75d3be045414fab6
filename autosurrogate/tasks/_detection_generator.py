"""The random generator of detections."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from autosurrogate.examples import Examples
from autosurrogate.tasks._boxes import overlaps
from autosurrogate.tasks._draw import Draw

MAX_CLASSES = 5
MIN_TARGETS, MAX_TARGETS = 2, 6
MIN_SPARE, MAX_SPARE = 2, 12  # queries beyond one for each target
ABSENT = -1e4  # logit of a query that pads
MIN_LOGIT = -1e3  # a query whose logits are all lower is padding: its score would be 0 in any precision
EMPTY = 0.05  # fraction of images without a true box; in a tenth of the sets up to 0.9
KINDS = 6  # of errors: see `generate`


@dataclass(frozen=True)
class _Targets:
    """The true boxes of n images, up to M each.

    Args:
        boxes: shape (n, M, 4), xyxy pixels.
        classes: shape (n, M).
        valid: shape (n, M), which of them are boxes rather than padding.
        prior: shape (n, C), how frequent the classes are.
        width: shape (n, 1), of the image; so is `height`.
    """

    boxes: Tensor
    classes: Tensor
    valid: Tensor
    prior: Tensor
    width: Tensor
    height: Tensor


@dataclass(frozen=True)
class _Queries:
    """The predicted boxes of n images, Q each.

    Args:
        boxes: shape (n, Q, 4), xyxy pixels.
        labels: shape (n, Q), the class of the largest logit.
        near: shape (n, Q), the class of the true box that this box was derived from.
        rank: shape (n, Q): 1 for the detection of a true box, 0.3 for a duplicate, -0.5 for one of the background, -3
            for padding.
        valid: shape (n, Q), which of them are queries rather than padding.
    """

    boxes: Tensor
    labels: Tensor
    near: Tensor
    rank: Tensor
    valid: Tensor


def generate(severity: Tensor, draw: Draw, set_size: int) -> Examples:
    """See `Detection.generate`."""
    n_sets = severity.shape[0]
    n_classes = int(draw.log_uniform(1, MAX_CLASSES + 1, 1).item())
    # Each set has more of one kind of error than of another: localisation, misses, classes, doubles, background, order.
    error_level = KINDS * (1.5 * draw.normal(n_sets, KINDS)).softmax(-1)
    levels = 1 - (1 - severity[:, None].clamp(max=0.999)) ** error_level
    targets = _targets(n_sets, set_size, n_classes, draw)
    queries = _queries(targets, levels, set_size, draw)
    preds = torch.cat([queries.boxes, _logits(targets, queries, levels[:, 5:], set_size, draw)], -1)
    classes = torch.where(targets.valid, targets.classes, -1)
    return Examples(preds, torch.cat([targets.boxes, classes[..., None].to(torch.float32)], -1))


def _targets(n_sets: int, set_size: int, n_classes: int, draw: Draw) -> _Targets:
    n = n_sets * set_size
    n_targets = int(draw.log_uniform(MIN_TARGETS, MAX_TARGETS + 1, 1).item())

    def each(drawn: Tensor) -> Tensor:
        return drawn.repeat_interleave(set_size, 0)

    width, height = each(draw.log_uniform(64, 640, n_sets, 1)), each(draw.log_uniform(64, 640, n_sets, 1))
    typical = each(draw.log_uniform(0.06, 0.5, n_sets, 1)) * torch.minimum(width, height)
    size = typical * (each(0.8 * draw.uniform(n_sets, 1)) * draw.normal(n, n_targets)).exp()
    aspect = (each(0.6 * draw.uniform(n_sets, 1)) * draw.normal(n, n_targets)).exp()
    sizes = torch.stack([size * aspect.sqrt(), size / aspect.sqrt()], -1).clamp_min(4)
    frame = torch.stack([width, height], -1)
    sizes = torch.minimum(sizes, 0.95 * frame)
    centres = sizes / 2 + draw.uniform(n, n_targets, 2) * (frame - sizes)
    crowd = 0.8 * each(draw.uniform(n_sets, 1, 1)) * (draw.uniform(n, 1, 1) < 0.3)  # about the first of an image
    centres = centres + crowd * (centres[:, :1] - centres)
    prior = each((draw.log_uniform(0.1, 1.5, n_sets, 1) * draw.normal(n_sets, n_classes)).softmax(-1))
    classes = torch.multinomial(prior, n_targets, replacement=True, generator=draw.generator)
    mostly_empty = draw.uniform(n_sets, 1) < 0.1
    fraction_empty = torch.where(mostly_empty, draw.log_uniform(0.2, 0.9, n_sets, 1), EMPTY)
    empty = draw.uniform(n, 1) < each(fraction_empty)
    empty[::set_size] = False  # never the first of a set: without a true box most metrics have no value
    count = torch.where(empty, 0.0, 1 + (draw.uniform(n, 1) * n_targets).floor())
    boxes = torch.cat([centres - sizes / 2, centres + sizes / 2], -1)
    return _Targets(boxes, classes, torch.arange(n_targets) < count, prior, width, height)


def _queries(targets: _Targets, levels: Tensor, set_size: int, draw: Draw) -> _Queries:
    """One query for each true box, some of them missing; then duplicates, boxes of the background, and padding.

    Args:
        targets: the true boxes.
        levels: shape (n_sets, KINDS), in [0, 1], how bad each kind of error is.
        set_size: images a set.
        draw: source of randomness.
    """
    n, n_targets = targets.classes.shape
    n_classes = targets.prior.shape[1]
    n_spare = int(draw.log_uniform(MIN_SPARE, MAX_SPARE + 1, 1).item())
    badly, missed, misnamed, doubled, invented, _ = levels.repeat_interleave(set_size, 0)[:, :, None].unbind(1)

    count = targets.valid.sum(1, keepdim=True).clamp_min(1)
    source = (draw.uniform(n, n_spare) * count).floor().long()
    source = torch.cat([torch.arange(n_targets).expand(n, -1), source], 1)
    own = torch.arange(n_targets + n_spare) < n_targets
    near = targets.classes.gather(1, source)
    boxes = targets.boxes.gather(1, source[..., None].expand(-1, -1, 4))

    # Some classes are harder than others, and some detections worse than others.
    n_sets = levels.shape[0]
    hard = (draw.log_uniform(0.1, 1.0, n_sets, 1) * draw.normal(n_sets, n_classes)).repeat_interleave(set_size, 0)
    hard = hard.gather(1, near).clamp(-2, 2)
    uneven = draw.log_uniform(0.2, 1.0, n_sets, 1).repeat_interleave(set_size, 0) * draw.normal(*near.shape)
    boxes = _displaced(boxes, 0.006 * (150**badly) * (hard + uneven).exp(), draw)

    valid_source = targets.valid.gather(1, source)
    detected = own & valid_source & (draw.uniform(*near.shape) >= missed ** torch.exp(-hard))
    double = ~own & valid_source & (draw.uniform(*near.shape) < 0.8 * doubled)
    of_nothing = ~(detected | double) & (draw.uniform(*near.shape) < 0.8 * invented)
    junk = ~(detected | double | of_nothing) & (draw.uniform(n_sets, 1) < 0.5).repeat_interleave(set_size, 0)
    elsewhere = _displaced(boxes, torch.full_like(hard, 0.7), draw)
    anywhere = _anywhere(boxes, targets, draw)
    beside = (draw.uniform(*near.shape) < 0.3)[..., None]
    boxes = torch.where((of_nothing | junk)[..., None], torch.where(beside, elsewhere, anywhere), boxes)

    any_class = torch.multinomial(targets.prior, near.shape[1], replacement=True, generator=draw.generator)
    other = (near + 1 + (draw.uniform(*near.shape) * max(n_classes - 1, 0)).long()) % n_classes
    labels = torch.where(draw.uniform(*near.shape) < 0.95 * misnamed, other, near)
    labels = torch.where(of_nothing | junk, any_class, labels)
    rank = torch.where(detected, 1.0, torch.where(double, 0.3, torch.where(of_nothing, -0.5, -3.0)))
    return _Queries(boxes, labels, near, rank, detected | double | of_nothing | junk)


def _displaced(boxes: Tensor, by: Tensor, draw: Draw) -> Tensor:
    """Boxes moved and stretched at random, by about `by` (n, Q) of their size."""
    sizes = boxes[..., 2:] - boxes[..., :2]
    centres = boxes[..., :2] + sizes / 2 + sizes * by[..., None] * draw.normal(*by.shape, 2)
    sizes = sizes * (by[..., None] * draw.normal(*by.shape, 2)).clamp(-1.5, 1.5).exp()
    return torch.cat([centres - sizes / 2, centres + sizes / 2], -1)


def _anywhere(boxes: Tensor, targets: _Targets, draw: Draw) -> Tensor:
    """Boxes of these sizes anywhere in the image."""
    frame = torch.stack([targets.width, targets.height], -1)
    sizes = torch.minimum(boxes[..., 2:] - boxes[..., :2], frame)
    corners = draw.uniform(*sizes.shape) * (frame - sizes)
    return torch.cat([corners, corners + sizes], -1)


def _logits(targets: _Targets, queries: _Queries, disorder: Tensor, set_size: int, draw: Draw) -> Tensor:
    """Class logits (n, Q, C): high where a detection is good, less so the larger `disorder` (n_sets, 1) is.

    Scale and level are drawn apart from that.
    """
    n, n_queries = queries.labels.shape
    n_sets, n_classes = disorder.shape[0], targets.prior.shape[1]

    def each(drawn: Tensor) -> Tensor:
        return drawn.repeat_interleave(set_size, 0)

    same = (queries.labels[:, :, None] == targets.classes[:, None]) & targets.valid[:, None]
    quality = (overlaps(queries.boxes, targets.boxes)[0] * same).amax(2)
    weight = each(draw.uniform(n_sets, 1))
    value = 2 * weight * quality + (1 - weight) * queries.rank
    value = value - 3.0 * (queries.rank < -1)
    noise = draw.normal(n, n_queries) + each(draw.uniform(n_sets, 1)) * draw.normal(n, 1)
    disorder = each(disorder)
    value = (1 - disorder) * value + (0.1 + 1.4 * disorder) * noise
    value = value + each(0.5 * draw.uniform(n_sets, 1) * draw.normal(n_sets, n_classes)).gather(1, queries.labels)
    sure_from = each(1.6 * draw.uniform(n_sets, 1) - 0.8)  # the value whose score is a half, but for a shift
    best = each(draw.log_uniform(0.5, 5.0, n_sets, 1)) * (value - sure_from) + each(draw.normal(n_sets, 1))

    gap = each(draw.log_uniform(0.3, 6.0, n_sets, 1))[..., None] * (0.02 + draw.exponential(n, n_queries, n_classes))
    closer = torch.where(draw.uniform(n, n_queries, 1) < 0.5, 0.3, 1.0)
    nearest = torch.arange(n_classes) == queries.near[..., None]
    logits = best[..., None] - torch.where(nearest, closer * gap, gap)
    logits = logits.scatter(2, queries.labels[..., None], best[..., None])
    return logits.masked_fill(~queries.valid[..., None], ABSENT)
