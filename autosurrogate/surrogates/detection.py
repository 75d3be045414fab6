"""Networks for detections.

Every network is given, for n examples of which each `set_size` make a point:

    boxes        (n, Q, 4), float32, xyxy pixels, finite
    logits       (n, Q, C), float32, finite
    present      (n, Q), float32: 1 for a query that is there, else 0
    true_boxes   (n, M, 4), float32
    classes      (n, M), int64, 0 where there is no true box
    real         (n, M), float32: 1 for a true box, else 0

No parameter depends on Q, C, M or n.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autosurrogate.surrogates import _losses
from autosurrogate.surrogates._layers import Perceptron, bounded, matmul
from autosurrogate.surrogates._monotone_mlp import MonotoneMLP
from autosurrogate.surrogates._shapes import expect
from autosurrogate.tasks._boxes import overlaps
from autosurrogate.tasks.detection import MAX_COORDINATE, MIN_LOGIT

N_LEVELS = 32  # of recall, at which precision is taken
N_CLOSE = 128  # queries of an image that may be hits, or as many as true boxes: those that overlap these most
LEAST = 1e-3  # of a detection, instead of none


class TargetProbability(nn.Module):
    """A plain network: what the regular loss looks at, of the query that fits each true box best.

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

    def features(
        self,
        boxes: Tensor,
        logits: Tensor,
        present: Tensor,
        true_boxes: Tensor,
        classes: Tensor,
        real: Tensor,
        set_size: int,
    ) -> Tensor:
        """Shape (n_points, 3)."""
        iou, giou = overlaps(boxes, true_boxes)
        probability = _of_classes(logits, classes).sigmoid()
        fit = (iou + giou + probability) * present.unsqueeze(2) - 4 * (1 - present.unsqueeze(2))
        best = fit.argmax(1, keepdim=True)
        seen = [f.gather(1, best).squeeze(1) for f in (iou, giou, probability)]
        there = present.gather(1, best.squeeze(1))
        return torch.stack([_mean(f * there, real, set_size) for f in seen], 1)

    def score(self, features: Tensor, n_rows: int) -> Tensor:
        """One number a point, shape (n_points,)."""
        return self.layers(features).squeeze(1)


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

    def features(
        self,
        boxes: Tensor,
        logits: Tensor,
        present: Tensor,
        true_boxes: Tensor,
        classes: Tensor,
        real: Tensor,
        set_size: int,
    ) -> Tensor:
        """Shape (n_points, n_features)."""
        n_classes = logits.size(2)
        iou, giou = overlaps(boxes, true_boxes)
        both = present.unsqueeze(2) * real.unsqueeze(1)
        best = logits.amax(2)
        of_class = torch.arange(n_classes, device=classes.device) == classes.unsqueeze(2)
        of_class = of_class.to(iou.dtype) * real.unsqueeze(2)  # (n, M, C)
        counts = of_class.sum(1).view(-1, set_size, n_classes).sum(1)
        in_set = (counts > 0).to(iou.dtype)
        share = in_set / in_set.sum(1, keepdim=True).clamp_min(1) / counts.clamp_min(1)  # what a hit adds to recall
        thresholds = torch.tensor(self.thresholds, dtype=iou.dtype, device=iou.device).unsqueeze(1)
        close = _close(iou * both)  # (n, K)
        not_self = 1 - torch.eye(close.size(1), dtype=iou.dtype, device=iou.device)
        near_iou, near_both = (_rows(array, close) for array in (iou, both))
        near_best = best.gather(1, close)

        found: list[Tensor] = []
        for temperature in self.temperatures:
            class_share = (logits / temperature).softmax(2) * present.unsqueeze(2)
            same = _of_classes(_rows(class_share, close), classes) * near_both
            near = 0.1 * temperature
            own = ((near_iou * same - 9 * (1 - near_both)) / near).softmax(2) * same
            claims = torch.sigmoid((near_iou.unsqueeze(2) - thresholds) / near) * own.unsqueeze(2)  # (n, K, T, M)
            above = torch.sigmoid((near_best.unsqueeze(1) - near_best.unsqueeze(2)) / temperature) * not_self
            hits = matmul((claims * _free(claims, above)).flatten(1, 2), of_class)
            precision, recall = _precision_and_recall(
                hits.view(-1, set_size * close.size(1), len(self.thresholds) * n_classes),
                near_best.view(-1, set_size * close.size(1)),
                class_share.view(-1, set_size * best.size(1), n_classes),
                best.view(-1, set_size * best.size(1)),
                share,
                temperature,
            )
            found += [precision, recall.mean(1, keepdim=True)]
            seen = near_iou * same
            found.append(_mean(seen.amax(1), real, set_size).unsqueeze(1))
            for gate in self.gates:
                counted = torch.sigmoid((near_best - math.log(gate / (1 - gate))) / temperature).unsqueeze(2)
                found.append(_mean((seen * counted).amax(1), real, set_size).unsqueeze(1))
        found.append(_mean(((1 + giou) * both).amax(1) - 1, real, set_size).unsqueeze(1))
        found.append(1 / in_set.sum(1, keepdim=True).clamp_min(1))
        return torch.cat(found, 1)

    def score(self, features: Tensor, n_rows: int) -> Tensor:
        """One number a point, shape (n_points,)."""
        return self.layers(features).squeeze(1)


def _queries(preds: Tensor, far: float = MAX_COORDINATE, scored: float = MIN_LOGIT) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes, logits, and which queries are there.

    With one query more that is not there, so that there is one, and one class more that none is of, as an exported
    program does not serve an axis of one entry.
    """
    preds = F.pad(preds.to(torch.float32), (0, 1, 0, 1), value=-math.inf)
    logits = bounded(preds[:, :, 4:])
    return bounded(preds[:, :, :4], far), logits, (logits.amax(2) > scored).to(torch.float32)


def _targets(target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes, classes, and which of them are real, with one more that is not, so that there is always one."""
    target = F.pad(target.to(torch.float32), (0, 0, 0, 1), value=-1.0)
    real = target[:, :, 4] >= 0
    return target[:, :, :4], target[:, :, 4].long() * real, real.to(torch.float32)


def _close(iou: Tensor, most: int = N_CLOSE) -> Tensor:
    """The queries of each image that overlap a true box most, (n, Q, M) to places (n, K).

    They are `most`, or as many as there are true boxes.
    """
    n_queries, n_true = iou.size(1), iou.size(2)
    if torch.jit.is_scripting():  # type: ignore[attr-defined]
        k = min(n_queries, max(most, n_true))
    else:  # which leaves both numbers open in an exported program
        k = torch.sym_min(n_queries, torch.sym_max(most, n_true))  # type: ignore[no-untyped-call]
    return iou.detach().amax(2).topk(k, dim=1)[1]


def _rows(values: Tensor, place: Tensor) -> Tensor:
    """Some queries of each image: (n, Q, X) and places (n, K) to (n, K, X)."""
    return values.gather(1, place.unsqueeze(2).expand(-1, -1, values.size(2)))


def _free(claims: Tensor, above: Tensor, least: float = LEAST) -> Tensor:
    """How far no better scored detection of the image has claimed the true box, shape of `claims` (n, Q, T, M).

    Args:
        claims: how far each query matches, at each threshold, each true box.
        above: shape (n, Q, Q), how far the second query is scored above the first.
        least: what is left of a true box that is claimed.
    """
    return matmul(above, torch.log(1 - (1 - least) * claims).flatten(2)).view_as(claims).exp()


def _precision_and_recall(
    hits: Tensor,
    of_hits: Tensor,
    class_share: Tensor,
    best: Tensor,
    share: Tensor,
    temperature: float,
    n_levels: int = N_LEVELS,
    least: float = LEAST,
) -> tuple[Tensor, Tensor]:
    """Average precision and recall of sets of N detections, means over the classes.

    Args:
        hits: shape (n_points, K, T * C), how far some detections are hits at each threshold in each class; all others
            are none.
        of_hits: shape (n_points, K), their scores.
        class_share: shape (n_points, N, C), how far each detection is of the class; 0 if it is not there.
        best: shape (n_points, N), its score.
        share: shape (n_points, C), what a hit adds to the mean recall.
        temperature: of scores.
        n_levels: of recall.
        least: of a detection, below which there is no precision.

    Returns:
        Shape (n_points, T) each.
    """
    n_classes = share.size(1)
    n_thresholds = hits.size(2) // n_classes
    gain = (hits * share.repeat(1, n_thresholds).unsqueeze(1)).detach().sum(2)
    levels = _levels(of_hits.detach(), gain, n_levels, 3 * temperature)
    hit = matmul(_above(of_hits, levels, temperature), hits).view(-1, n_levels + 1, n_thresholds, n_classes)
    called = matmul(_above(best, levels, temperature), class_share).unsqueeze(2)
    precision = (hit / (called + least)).flip(1).cummax(1)[0].flip(1)  # the best at that recall or more
    step = torch.cat([hit[:, :1], hit[:, 1:] - hit[:, :-1]], 1)
    share = share.unsqueeze(1)
    return ((precision * step).sum(1) * share).sum(2), (hit[:, -1] * share).sum(2)


def _above(scores: Tensor, levels: Tensor, temperature: float) -> Tensor:
    """How far each score is above each level, and above none: (n_points, N) to (n_points, n_levels + 1, N)."""
    above = torch.sigmoid((scores.unsqueeze(1) - levels.unsqueeze(2)) / temperature)
    return torch.cat([above, torch.ones_like(above[:, :1])], 1)


def _levels(best: Tensor, gain: Tensor, n_levels: int, most: float) -> Tensor:
    """Scores that part the detections in order into as many stretches of the same gain, shape (n_points, n_levels).

    Each is midway between a detection and the next, `most` below the former at most.
    """
    scores, order = best.sort(1, descending=True)
    reached = gain.gather(1, order).cumsum(1)
    wanted = (torch.arange(n_levels, dtype=best.dtype, device=best.device) + 0.5) / n_levels
    place = torch.searchsorted(reached, wanted * reached[:, -1:]).clamp(max=best.size(1) - 1)
    own, following = scores.gather(1, place), scores.gather(1, (place + 1).clamp(max=best.size(1) - 1))
    return own - ((own - following) / 2).clamp(max=most)


def _of_classes(values: Tensor, classes: Tensor) -> Tensor:
    """The value of each query for the class of each true box: (n, Q, C) and (n, M) to (n, Q, M)."""
    return values.gather(2, classes.unsqueeze(1).expand(-1, values.size(1), -1))


def _mean(values: Tensor, real: Tensor, set_size: int) -> Tensor:
    """Mean over the true boxes of each point: (n, M) to (n_points,); 0 where there are none."""
    weight = real.view(-1, set_size * real.size(1))
    return (values.reshape(weight.shape) * weight).sum(1) / weight.sum(1).clamp_min(1)


NETWORKS = {"matching": Matching, "target_probability": TargetProbability}


class SetLoss(_losses.SetLoss):
    """The loss of a whole batch as one set: preds are boxes and logits (n, Q, 4 + C), target boxes and class (n, M, 5).

    Boxes are xyxy pixels. Class -1 pads the target; a query whose logits are all below -1000 is not there.
    """

    def features(self, preds: Tensor, target: Tensor, set_size: int) -> Tensor:
        """The network's features of examples of which each `set_size` make a point."""
        fits = preds.dim() == 3 and target.dim() == 3
        fits = fits and preds.size(0) == target.size(0) and preds.size(2) > 4 and target.size(2) == 5
        expect(fits, preds, target, "boxes and logits (n, Q, 4 + C) and boxes and class (n, M, 5)")
        boxes, logits, present = _queries(preds)
        true_boxes, classes, real = _targets(target)
        return self.network.features(boxes, logits, present, true_boxes, classes, real, set_size)


class SampleLoss(_losses.SampleLoss, SetLoss):
    """The mean loss of the examples of a batch."""
