"""Networks for detections; each is given a `DetectionBatch`. No parameter depends on Q, C, M or n."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autosurrogate.surrogates import _losses
from autosurrogate.surrogates._detection_matching import (
    DetectionBatch,
    Matching,
    mean_of_true_boxes,
    of_true_classes,
)
from autosurrogate.surrogates._detection_outcomes import Outcomes
from autosurrogate.surrogates._layers import Perceptron, bounded
from autosurrogate.surrogates._shapes import expect
from autosurrogate.tasks._boxes import overlaps
from autosurrogate.tasks._detection_generator import MIN_LOGIT
from autosurrogate.tasks.detection import MAX_COORDINATE


class TargetProbability(nn.Module):
    """A plain network: what the regular loss depends on, of the query that fits each true box best.

    A perceptron on the query's IoU and its probability of the true class, averaged over the true boxes.

    Args:
        width: hidden units.
        n_hidden: hidden layers.
    """

    FEATURE_SETTINGS = ()

    def __init__(self, width: int = 32, n_hidden: int = 2) -> None:
        super().__init__()
        self.layers = Perceptron(3, width, n_hidden, 1)

    def n_rows(self, set_size: int) -> int:
        """Rows of `features` for each point."""
        return 1

    def feature_names(self) -> list[str]:
        """A name for each column of `features`."""
        return ["IoU", "generalised IoU", "probability"]

    def features(self, batch: DetectionBatch, set_size: int) -> Tensor:
        """Shape (n_points, 3)."""
        iou, giou = overlaps(batch.boxes, batch.true_boxes)
        probability = of_true_classes(batch.logits, batch.classes).sigmoid()
        query_mask = batch.query_mask.unsqueeze(2)
        fit = (iou + giou + probability) * query_mask - 4 * (1 - query_mask)
        best = fit.argmax(1, keepdim=True)
        of_best = [values.gather(1, best).squeeze(1) for values in (iou, giou, probability)]
        valid = batch.query_mask.gather(1, best.squeeze(1))
        return torch.stack([mean_of_true_boxes(values * valid, batch.target_mask, set_size) for values in of_best], 1)

    def score(self, features: Tensor, n_rows: int) -> Tensor:
        """One number for each point, shape (n_points,)."""
        return self.layers(features).squeeze(1)


NETWORKS = {"matching": Matching, "outcomes": Outcomes, "target_probability": TargetProbability}


def _queries(preds: Tensor, far: float = MAX_COORDINATE, min_logit: float = MIN_LOGIT) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes, logits, and which queries are no padding.

    One query is added that pads, so that there is one, and one class that no query is of: an exported program does not
    serve an axis of one entry.
    """
    preds = F.pad(preds.to(torch.float32), (0, 1, 0, 1), value=-math.inf)
    logits = bounded(preds[:, :, 4:])
    return bounded(preds[:, :, :4], far), logits, (logits.amax(2) > min_logit).to(torch.float32)


def _targets(target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes, classes, and which of them are no padding; one that pads is added, so that there is always one."""
    target = F.pad(target.to(torch.float32), (0, 0, 0, 1), value=-1.0)
    target_mask = target[:, :, 4] >= 0
    return target[:, :, :4], target[:, :, 4].long() * target_mask, target_mask.to(torch.float32)


class SetLoss(_losses.SetLoss):
    """The loss of a whole batch as one set: preds are boxes and logits (n, Q, 4 + C), target boxes and class (n, M, 5).

    Boxes are xyxy pixels. Class -1 pads the target; a query whose logits are all below -1000 is padding.
    """

    def features(self, preds: Tensor, target: Tensor, set_size: int) -> Tensor:
        """The network's features of examples, `set_size` for each point."""
        fits = preds.dim() == 3 and target.dim() == 3
        fits = fits and preds.size(0) == target.size(0) and preds.size(2) > 4 and target.size(2) == 5
        expect(fits, preds, target, "boxes and logits (n, Q, 4 + C) and boxes and class (n, M, 5)")
        boxes, logits, query_mask = _queries(preds)
        true_boxes, classes, target_mask = _targets(target)
        batch = DetectionBatch(boxes, logits, query_mask, true_boxes, classes, target_mask)
        return self.network.features(batch, set_size)


class SampleLoss(_losses.SampleLoss, SetLoss):
    """The mean loss of the examples of a batch."""
