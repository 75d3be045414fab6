"""A network for average precision of detections, and the matching of detections and true boxes behind it."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from autosurrogate.surrogates._detection_precision import FLOOR, precision_and_recall
from autosurrogate.surrogates._layers import matmul
from autosurrogate.surrogates._monotone_mlp import MonotoneMLP
from autosurrogate.tasks._boxes import overlaps

N_CLOSE = 128  # queries of an image that may be hits, or as many as true boxes: those that overlap these most


class DetectionBatch(NamedTuple):
    """A batch of n images.

    Attributes:
        boxes: shape (n, Q, 4), float32, xyxy pixels, finite.
        logits: shape (n, Q, C), float32, finite.
        query_mask: shape (n, Q), float32: 0 for a query that pads, else 1.
        true_boxes: shape (n, M, 4), float32.
        classes: shape (n, M), int64, 0 for padding.
        target_mask: shape (n, M), float32: 1 for a true box, 0 for padding.
    """

    boxes: Tensor
    logits: Tensor
    query_mask: Tensor
    true_boxes: Tensor
    classes: Tensor
    target_mask: Tensor


class Matching(nn.Module):
    """Soft average precision at several IoU thresholds and temperatures.

    At each temperature a detection is a hit as far as its IoU with a true box is above the threshold, the box is of its
    class, and no better scored detection has hit it. Precision is that of the detections scored above each of 32
    levels of recall, of each class apart, weighted by the recall that the level brings.

    Args:
        temperatures: of scores (in logits), of classes, and, tenfold smaller, of IoU; small ones see order and
            thresholds as the metric does, large ones reach far with their gradient.
        width: hidden units.
        n_hidden: hidden layers.
    """

    FEATURE_SETTINGS = ("temperatures",)
    THRESHOLDS = (0.5, 0.6, 0.75, 0.9)
    GATES = (0.5,)  # scores from which detections count

    def __init__(self, temperatures: list[float], width: int = 32, n_hidden: int = 2) -> None:
        super().__init__()
        self.temperatures = [float(t) for t in temperatures]
        self.thresholds = list(self.THRESHOLDS)
        self.gates = list(self.GATES)
        self.layers = MonotoneMLP(len(self.feature_names()) - 1, 1, width, n_hidden)

    def n_rows(self, set_size: int) -> int:
        """Rows of `features` for each point."""
        return 1

    def feature_names(self) -> list[str]:
        """A name for each column of `features`."""
        names = [f"precision {t:g}" for t in self.THRESHOLDS] + ["recall", "IoU"]
        names += [f"IoU from score {g:g}" for g in self.GATES]
        return [f"{name} at {t:g}" for t in self.temperatures for name in names] + ["generalised IoU", "classes"]

    def features(self, batch: DetectionBatch, set_size: int) -> Tensor:
        """Shape (n_points, n_features)."""
        logits, classes, target_mask = batch.logits, batch.classes, batch.target_mask
        n_classes = logits.size(2)
        iou, giou = overlaps(batch.boxes, batch.true_boxes)
        pair_mask = batch.query_mask.unsqueeze(2) * target_mask.unsqueeze(1)  # (n, Q, M)
        best = logits.amax(2)
        of_class = torch.arange(n_classes, device=classes.device) == classes.unsqueeze(2)
        of_class = of_class.to(iou.dtype) * target_mask.unsqueeze(2)  # (n, M, C)
        counts = of_class.sum(1).view(-1, set_size, n_classes).sum(1)
        in_set = (counts > 0).to(iou.dtype)
        gain = in_set / in_set.sum(1, keepdim=True).clamp_min(1) / counts.clamp_min(1)  # what a hit adds to recall
        thresholds = torch.tensor(self.thresholds, dtype=iou.dtype, device=iou.device).unsqueeze(1)
        close = close_queries(iou * pair_mask)  # (n, K)
        not_self = 1 - torch.eye(close.size(1), dtype=iou.dtype, device=iou.device)
        close_iou, close_mask = (of_queries(values, close) for values in (iou, pair_mask))
        close_best = best.gather(1, close)

        features: list[Tensor] = []
        for temperature in self.temperatures:
            probability = (logits / temperature).softmax(2) * batch.query_mask.unsqueeze(2)
            same = of_true_classes(of_queries(probability, close), classes) * close_mask
            iou_temperature = 0.1 * temperature
            assigned = ((close_iou * same - 9 * (1 - close_mask)) / iou_temperature).softmax(2) * same
            above_threshold = torch.sigmoid((close_iou.unsqueeze(2) - thresholds) / iou_temperature)
            claims = above_threshold * assigned.unsqueeze(2)  # (n, K, T, M)
            above = torch.sigmoid((close_best.unsqueeze(1) - close_best.unsqueeze(2)) / temperature) * not_self
            hits = matmul((claims * unclaimed(claims, above)).flatten(1, 2), of_class)
            precision, recall = precision_and_recall(
                hits.view(-1, set_size * close.size(1), len(self.thresholds) * n_classes),
                close_best.view(-1, set_size * close.size(1)),
                probability.view(-1, set_size * best.size(1), n_classes),
                best.view(-1, set_size * best.size(1)),
                gain,
                temperature,
            )
            features += [precision, recall.mean(1, keepdim=True)]
            matched = close_iou * same
            features.append(mean_of_true_boxes(matched.amax(1), target_mask, set_size).unsqueeze(1))
            for gate in self.gates:
                counted = torch.sigmoid((close_best - math.log(gate / (1 - gate))) / temperature).unsqueeze(2)
                features.append(mean_of_true_boxes((matched * counted).amax(1), target_mask, set_size).unsqueeze(1))
        nearest = ((1 + giou) * pair_mask).amax(1) - 1
        features.append(mean_of_true_boxes(nearest, target_mask, set_size).unsqueeze(1))
        features.append(1 / in_set.sum(1, keepdim=True).clamp_min(1))
        return torch.cat(features, 1)

    def score(self, features: Tensor, n_rows: int) -> Tensor:
        """One number for each point, shape (n_points,)."""
        return self.layers(features).squeeze(1)


def of_true_classes(values: Tensor, classes: Tensor) -> Tensor:
    """The value of each query for the class of each true box: (n, Q, C) and (n, M) to (n, Q, M)."""
    return values.gather(2, classes.unsqueeze(1).expand(-1, values.size(1), -1))


def mean_of_true_boxes(values: Tensor, target_mask: Tensor, set_size: int) -> Tensor:
    """Mean over the true boxes of each point: (n, M) to (n_points,); 0 where there are none."""
    weight = target_mask.view(-1, set_size * target_mask.size(1))
    return (values.reshape(weight.shape) * weight).sum(1) / weight.sum(1).clamp_min(1)


def close_queries(iou: Tensor, minimum: int = N_CLOSE) -> Tensor:
    """The queries of each image that overlap a true box most, (n, Q, M) to indices (n, K).

    K is `minimum`, or the number of true boxes if that is larger; at most Q.
    """
    n_queries, n_true = iou.size(1), iou.size(2)
    if torch.jit.is_scripting():  # type: ignore[attr-defined]
        k = min(n_queries, max(minimum, n_true))
    else:  # both sizes stay dynamic in an exported program
        k = torch.sym_min(n_queries, torch.sym_max(minimum, n_true))  # type: ignore[no-untyped-call]
    return iou.detach().amax(2).topk(k, dim=1)[1]


def of_queries(values: Tensor, index: Tensor) -> Tensor:
    """The values of some queries of each image: (n, Q, X) and indices (n, K) to (n, K, X)."""
    return values.gather(1, index.unsqueeze(2).expand(-1, -1, values.size(2)))


def unclaimed(claims: Tensor, above: Tensor, floor: float = FLOOR) -> Tensor:
    """How far no better scored detection of the image has claimed the true box, shape of `claims` (n, Q, T, M).

    Args:
        claims: how far each query matches, at each threshold, each true box.
        above: shape (n, Q, Q), how far the second query is scored above the first.
        floor: what is left of a true box that is claimed.
    """
    return matmul(above, torch.log(1 - (1 - floor) * claims).flatten(2)).view_as(claims).exp()
