"""Features of detections: counts of hits, false alarms and misses from some scores on."""

import torch
from torch import Tensor

from autosurrogate.surrogates._detection_matching import DetectionBatch
from autosurrogate.surrogates._detection_pairs import Pairs, means_of_images, of_sets
from autosurrogate.surrogates._layers import matmul


def count_names(gates: list[float], ways: list[str]) -> tuple[list[str], list[str]]:
    """Names of the qualities and of the context of `count_features`."""
    names = [f"{what} {way} from {g:g}" for what in ("recall", "precision") for g in gates for way in ways]
    names += [f"{what} {way}" for what in ("recall", "F1", "IoU of hits", "panoptic quality") for way in ways]
    names += ["F1 of images", "recall of images", "images without error", "precision of classes", "recall of classes"]
    names += ["few false alarms", "few misses", "near counts", "relatively near counts", "equal counts"]
    return names, [f"counted from {g:g}" for g in gates] + ["detections", "true boxes", "squared error of counts"]


def count_features(
    batch: DetectionBatch, pairs: Pairs, of_class: Tensor, set_size: int
) -> tuple[list[Tensor], list[Tensor]]:
    """Qualities and context, shape (n_points, n) each.

    Those of images, of classes and of numbers are computed at the first gate.

    Args:
        batch: of images.
        pairs: of queries and true boxes.
        of_class: shape (n, M, C), 1 at the class of each true box.
        set_size: images of each point.
    """
    n_hits = matmul(pairs.gates.transpose(1, 2), pairs.hits)  # (n, G, V)
    n_found, n_true = pairs.gates.sum(1), batch.target_mask.sum(1)
    set_hits = of_sets(n_hits, set_size)
    set_found, set_true = of_sets(n_found, set_size).unsqueeze(2), of_sets(n_true, set_size).view(-1, 1, 1)
    some_true = set_true.clamp_min(1)
    gate = pairs.gates[:, :, 0]
    iou = torch.stack([pairs.own_iou, pairs.any_iou], 2)
    iou = torch.cat([iou[:, :, :1].expand(-1, -1, pairs.hits.size(2) - 1), iou[:, :, 1:]], 2)
    overlap = of_sets((pairs.hits * iou * gate.unsqueeze(2)).sum(1), set_size)
    hit, found = set_hits[:, 0], set_found[:, 0]
    total = found + some_true.squeeze(2)
    qualities = [
        (set_hits / some_true).flatten(1),
        (set_hits / (set_found + 0.1)).flatten(1),
        of_sets(pairs.hits.sum(1), set_size) / some_true.squeeze(2),
        2 * hit / total,
        overlap / (hit + 0.1),
        2 * overlap / total,
    ]

    own_hits, own_found = n_hits[:, 0, 0], n_found[:, 0]
    has_true, everywhere = (n_true > 0).to(n_true.dtype), torch.ones_like(n_true)
    precision, recall = _of_classes(pairs, of_class, gate, set_size)
    excess = own_found - n_true
    squared = means_of_images(excess.square(), everywhere, set_size)
    in_images = [
        means_of_images(2 * own_hits / (own_found + n_true).clamp_min(0.1), has_true, set_size),
        means_of_images(own_hits / n_true.clamp_min(1), has_true, set_size),
        means_of_images(torch.exp(-2 * (own_found + n_true - 2 * own_hits)), everywhere, set_size),
        precision,
        recall,
        -means_of_images(own_found - own_hits, everywhere, set_size).clamp_min(0).log1p() / 2,
        -means_of_images(n_true - own_hits, everywhere, set_size).clamp_min(0).log1p() / 2,
        -(means_of_images(_size(excess), everywhere, set_size) + 0.1).log() / 3,
        -(means_of_images(_size(excess) / (n_true + 1), everywhere, set_size) + 0.03).log() / 3,
        means_of_images(torch.exp(-4 * excess.square()), everywhere, set_size),
    ]
    counts = [
        means_of_images(own_found, everywhere, set_size).log1p() / 3,
        means_of_images(n_true, everywhere, set_size).log1p() / 3,
        squared.log1p() / 5,
    ]
    ratio = ((set_found + 0.5) / (set_true + 0.5)).squeeze(2).log() / 3
    qualities.append(torch.stack(in_images, 1))
    return qualities, [ratio, torch.stack(counts, 1)]


def _of_classes(pairs: Pairs, of_class: Tensor, gate: Tensor, set_size: int) -> tuple[Tensor, Tensor]:
    """Precision and recall of each class of the true boxes, means over these classes; shape (n_points,) each."""
    n_classes = of_class.size(2)
    of_own = of_class.gather(1, pairs.own.unsqueeze(2).expand(-1, -1, n_classes))  # (n, Q, C)
    caught = (pairs.hits[:, :, 0] * gate).unsqueeze(1)
    hits = of_sets(matmul(caught, of_own).squeeze(1), set_size)
    found = of_sets(matmul(gate.unsqueeze(1), pairs.probability).squeeze(1), set_size)
    actual = of_sets(of_class.sum(1), set_size)
    occurs = (actual > 0).to(actual.dtype)
    n_occurring = occurs.sum(1).clamp_min(1)
    return (hits / (found + 0.1) * occurs).sum(1) / n_occurring, (hits / actual.clamp_min(1)).sum(1) / n_occurring


def _size(values: Tensor) -> Tensor:
    """The absolute value, rounded off at 0 so that it has a second derivative."""
    return (values.square() + 0.01).sqrt() - 0.1
